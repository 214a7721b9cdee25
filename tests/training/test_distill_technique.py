"""Distillation against the loss and gradients of NumPy."""

from __future__ import annotations

import keras as plain_keras
import numpy as np
import pytest
from by_hand import IDS, LABELS, compiled, forward, gradients, moved, pooling_model, softmax, wide

from bert4keras2.backend import keras, set_seed
from bert4keras2.training import adversarial_training, distill

pytestmark = pytest.mark.backend
HARD = np.eye(3)[LABELS]


def teacher():
    """A model of another kind, with weights of its own."""
    set_seed(7)
    x = inputs = keras.layers.Input((None,), dtype="int32")
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(6, 5, embeddings_initializer="normal")(x))
    x = keras.layers.Dropout(0.5)(x)  # not in prediction
    model = keras.models.Model(inputs, keras.layers.Dense(3, activation="softmax", name="Proba")(x))
    random = np.random.default_rng(0)
    model.set_weights([random.normal(size=weight.shape) * 1.5 for weight in model.get_weights()])
    return model


def expected(weights, said, alpha, temperature):
    """Return the loss, and the gradients, which are those of soft labels."""
    p = forward(weights)[1]
    target, found = softmax(np.log(said) / temperature), softmax(np.log(p) / temperature)
    apart = temperature**2 * (target * np.log(target / found)).sum(-1).mean()
    loss = (1 - alpha) * -np.log(p[np.arange(2), LABELS]).mean() + alpha * apart
    # d/d logits: (1 - alpha) (p - y) + alpha T (q - t), both over the batch.
    return loss, p - ((1 - alpha) * (p - HARD) + alpha * temperature * (found - target))


def test_a_step_by_hand():
    """The teacher is asked once, as in prediction; the gradient is that of the sum; the teacher stays."""
    model, knows = compiled(pooling_model()), teacher()
    said, before = knows.predict(IDS, verbose=0).astype("float64"), knows.get_weights()
    assert said.max() > 0.5
    distill(model, knows, 0.7, 2.0)
    weights = wide(model)
    loss, soft = expected(weights, said, 0.7, 2.0)
    np.testing.assert_allclose(model.train_on_batch(IDS, LABELS), loss, rtol=1e-4)
    for old, new, slope in zip(weights, wide(model), gradients(weights, soft)[0], strict=True):
        np.testing.assert_allclose(old - new, slope, atol=3e-6)
    # Without labels the teacher's part alone; all of it in `fit` too, evaluation as ever, and the teacher is as before.
    weights = wide(model)
    apart = expected(weights, said, 0.7, 2.0)[0] - 0.3 * -np.log(forward(weights)[1][np.arange(2), LABELS]).mean()
    np.testing.assert_allclose(model.train_on_batch(IDS), apart, rtol=1e-4)
    history = model.fit(IDS, LABELS, validation_data=(IDS, LABELS), epochs=2, verbose=0).history
    assert history["loss"][1] < history["loss"][0] and np.isfinite(history["val_loss"]).all()
    for old, new in zip(before, knows.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert len(model.get_weights()) == 3


def test_after_fgm_and_by_squares():
    """Behind adversarial training the teacher is asked at the rows as they are, the student at the moved ones."""
    model, knows = compiled(pooling_model(), 0.0), teacher()
    said = knows.predict(IDS, verbose=0).astype("float64")
    adversarial_training(model, "Embedding-Token", 0.5)
    distill(model, knows, 1.0, loss="mse")
    weights = wide(model)
    there = moved(weights, gradients(weights, HARD)[0][0], 0.5)
    np.testing.assert_allclose(model.train_on_batch(IDS, LABELS), ((forward(there)[1] - said) ** 2).mean(), rtol=1e-4)


def test_what_is_wrong():
    model = pooling_model()
    narrow = keras.models.Model(model.inputs, keras.layers.Dense(2)(model.output))
    for arguments, words in (
        ((narrow,), "student's output has 3 values, and the teacher's 2"),
        ((model,), "the student itself"),
        ((teacher(), 1.5), "up to 1, not 1.5"),
        ((teacher(), 0.5, 0), "temperature must be a number greater than 0"),
        ((teacher(), 0.5, 1, "cosine"), "'kl', 'mse', not 'cosine'"),
    ):
        with pytest.raises(ValueError, match=words):
            distill(model, *arguments)
    with pytest.raises(TypeError, match="teacher is a Keras model"):
        distill(model, "teacher")
    with pytest.raises(TypeError, match="bert4keras2.backend"):
        distill(plain_keras.Sequential([plain_keras.layers.Dense(1)]), model)
