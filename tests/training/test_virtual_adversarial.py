"""Virtual adversarial training against a computation of its own, labelled and unlabelled."""

from __future__ import annotations

import keras as plain_keras
import numpy as np
import pytest
from by_hand import IDS, LABELS, compiled, forward, gradients, pooling_model, wide

from bert4keras2.backend import keras, set_seed
from bert4keras2.training import virtual_adversarial_training
from bert4keras2.training.transforms import StepSeed

pytestmark = pytest.mark.backend


def divergence(p, q):
    return (p * np.log(p / q)).sum(-1).mean()


def expected_virtual(weights, rule, number=0, epsilon=1.0, xi=10.0, iters=1):
    """Return the moved weights and the target probabilities by NumPy, from the noise of the step."""
    noise = plain_keras.random.normal((6, 4), dtype="float32", seed=StepSeed(rule.seed, number))
    direction = plain_keras.ops.convert_to_numpy(noise).astype("float64")
    target = forward(weights)[1]
    for _ in range(iters):
        direction = gradients([weights[0] + xi * direction / np.linalg.norm(direction), *weights[1:]], target)[0][0]
    return [weights[0] + epsilon * direction / np.linalg.norm(direction), *weights[1:]], target


@pytest.mark.parametrize("options", [{}, {"epsilon": 0.5, "xi": 1.0, "iters": 2}])
def test_virtual_by_hand(options):
    """Labelled batches: the loss plus KL, and the gradients of both; without labels KL alone."""
    model = compiled(pooling_model())
    virtual_adversarial_training(model, "Embedding-Token", **options)
    weights = wide(model)
    there, p = expected_virtual(weights, model.loss_transforms[0], **options)
    kl, ce = divergence(p, forward(there)[1]), -np.log(p[np.arange(2), LABELS]).mean()
    added = gradients(there, p)[0]
    plain = gradients(weights, np.eye(3)[LABELS])[0]
    assert kl > 1e-5
    np.testing.assert_allclose(model.train_on_batch(IDS, LABELS), ce + kl, atol=1e-5)
    for value, weight, left, right in zip(model.get_weights(), weights, plain, added, strict=True):
        np.testing.assert_allclose(value, weight - left - right, atol=1e-5)

    weights = wide(model)
    there, p = expected_virtual(weights, model.loss_transforms[0], number=1, **options)
    np.testing.assert_allclose(model.train_on_batch(IDS), divergence(p, forward(there)[1]), atol=1e-5)
    for value, weight, right in zip(model.get_weights(), weights, gradients(there, p)[0], strict=True):
        np.testing.assert_allclose(value, weight - right, atol=1e-5)


def test_unlabelled_batches():
    """A labelled step without any addition, then one on unlabelled data, with an optimizer of its own."""
    seen = []

    def generator():
        while True:
            for batch in ((IDS[:1], "ignored"), IDS[1:]):
                seen.append(1)
                yield batch

    model = compiled(pooling_model(), 0.1, metrics=["accuracy"])
    own = keras.optimizers.SGD(0.05)
    virtual_adversarial_training(model, "Embedding-Token", unlabelled=generator(), optimizer=own)
    history = model.fit(IDS, LABELS, epochs=3, verbose=0).history
    assert set(history) == {"loss", "accuracy", "unlabelled_loss"} and min(history["unlabelled_loss"]) > 0
    assert int(own.iterations) == 3 and int(model.optimizer.iterations) == 3
    assert model.train_on_batch(IDS, LABELS)[0] > 0 and int(own.iterations) == 4
    model.fit(IDS, LABELS, 2, 1, 0, [keras.callbacks.Callback()])  # callbacks by position
    assert int(own.iterations) == 5 and seen == [1, 1, 1, 1, 1]

    # A step of each kind, one after the other, from the same start, leads to the same weights.
    models = [compiled(pooling_model(), 0.1) for _ in range(2)]
    virtual_adversarial_training(models[0], "Embedding-Token", unlabelled=[IDS])
    rule = models[0].loss_transforms[0]._transform
    models[0].fit(IDS, LABELS, verbose=0)
    models[1].fit(IDS, LABELS, verbose=0)
    there, p = expected_virtual(wide(models[1]), rule)
    expected = [w - 0.1 * g for w, g in zip(wide(models[1]), gradients(there, p)[0], strict=True)]
    for value, right in zip(models[0].get_weights(), expected, strict=True):
        np.testing.assert_allclose(value, right, atol=1e-5)


def test_used_up():
    model = compiled(pooling_model())
    virtual_adversarial_training(model, "Embedding-Token", unlabelled=iter([IDS]))
    model.train_on_batch(IDS, LABELS)
    with pytest.raises(ValueError, match="used up"):
        model.train_on_batch(IDS, LABELS)


def test_virtual_logits():
    """Logits, and one logit or probability of two classes, mean the same as their softmax."""
    losses = []
    for units, activation, from_logits in (
        (2, "softmax", False),
        (2, None, True),
        (1, "sigmoid", False),
        (1, None, True),
    ):
        set_seed(1)
        x = inputs = keras.layers.Input((None,), dtype="int32")
        x = keras.layers.Embedding(6, 4, embeddings_initializer="normal", name="Embedding-Token")(x)
        dense = keras.layers.Dense(units, activation=activation)
        model = keras.models.Model(inputs, dense(keras.layers.GlobalAveragePooling1D()(x)))
        kernel = np.array([[1.0, -1], [0, 2], [0.5, 1], [-1, 1]])
        model.get_layer("Embedding-Token").set_weights([np.random.default_rng(0).normal(size=(6, 4))])
        dense.set_weights([kernel if units == 2 else kernel[:, 1:] - kernel[:, :1], np.zeros(units)])
        model.compile(keras.optimizers.SGD(0.0))
        virtual_adversarial_training(model, "Embedding-Token", from_logits=from_logits)
        model.loss_transforms[0].seed = 7
        losses.append(model.train_on_batch(IDS))
    np.testing.assert_allclose(losses, losses[0], rtol=1e-4)
    assert losses[0] > 1e-3
