"""R-Drop against two passes by hand, and what it is combined with."""

from __future__ import annotations

import keras as plain_keras
import numpy as np
import pytest
from by_hand import Alternating
from keras import ops

from bert4keras2.backend import keras, set_seed
from bert4keras2.training import adversarial_training, plain_training, r_drop

pytestmark = pytest.mark.backend
X = np.random.RandomState(0).standard_normal((6, 4)).astype("float32")
Y = np.array([0, 1, 2, 2, 1, 0])
LOSS = "sparse_categorical_crossentropy"


def model(rate=1.0, between=None, **options):
    set_seed(3)
    x = inputs = keras.layers.Input((4,))
    x = Alternating(name="alternating")(x) if between is None else between(x)
    made = keras.models.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))
    made.compile(keras.optimizers.SGD(rate), LOSS, **options)
    return made


def dense(made):
    return [w.astype("float64") for w in made.layers[-1].get_weights()]


def expected(weights, alpha, factors=(1.0, 1.5), labels=True):
    """Return the loss by NumPy."""
    kernel, bias = weights
    logarithms = []
    for factor in factors:
        x = X.astype("float64") * factor @ kernel + bias
        logarithms.append(x - np.log(np.exp(x).sum(-1, keepdims=True)))
    p, q = logarithms
    apart = ((np.exp(p) - np.exp(q)) * (p - q)).sum(-1).mean()
    if not labels:
        return apart
    return -(p + q)[np.arange(6), Y].mean() / 2 + alpha / 4 * apart


def slopes(function, weights):
    found = []
    for k, weight in enumerate(weights):
        found.append(np.zeros_like(weight))
        for place in np.ndindex(*weight.shape):
            sides = []
            for h in (1e-5, -1e-5):
                other = [w.copy() for w in weights]
                other[k][place] += h
                sides.append(function(other))
            found[-1][place] = (sides[0] - sides[1]) / 2e-5
    return found


@pytest.mark.parametrize("options", [{}, {"run_eagerly": True}])
def test_a_step_by_hand(options):
    """Both passes differ, both are differentiated, and what layers count goes on from the second."""
    made = model(**options)
    r_drop(made, 4.0)
    before = dense(made)
    loss = made.train_on_batch(X, Y)
    np.testing.assert_allclose(loss, expected(before, 4.0), rtol=1e-5)
    for old, new, slope in zip(before, dense(made), slopes(lambda w: expected(w, 4.0), before), strict=True):
        np.testing.assert_allclose(old - new, slope, atol=2e-5)
    assert float(ops.convert_to_numpy(made.get_layer("alternating").count)) == 2
    now = dense(made)
    np.testing.assert_allclose(made.train_on_batch(X, Y), expected(now, 4.0, (2.0, 2.5)), rtol=1e-5)


def test_without_dropout_it_is_a_plain_step():
    plain, dropped = (model(0.5, keras.layers.Dropout(0.0)) for _ in range(2))
    r_drop(dropped)
    for _ in range(3):
        np.testing.assert_allclose(dropped.train_on_batch(X, Y), plain.train_on_batch(X, Y), rtol=1e-5)
    for left, right in zip(dense(plain), dense(dropped), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)


def test_dropout_differs_between_passes():
    made = model(0.0, keras.layers.Dropout(0.5))
    plain = np.mean([made.train_on_batch(X, Y) for _ in range(20)])
    r_drop(made, 100.0)
    assert np.mean([made.train_on_batch(X, Y) for _ in range(20)]) > plain + 1
    plain_training(made)
    assert not made.loss_transforms


def test_unlabelled_steps():
    made = model(0.0)
    r_drop(made, unlabelled=[X, X])
    history = made.fit(X, Y, batch_size=6, epochs=1, verbose=0).history
    # The labelled step was one pass; the next two are of the unlabelled one.
    np.testing.assert_allclose(history["unlabelled_loss"][0], expected(dense(made), 0, (1.5, 2.0), False), rtol=1e-4)


def test_positions_that_count():
    """Of an output with several positions, those that `where` gives."""
    set_seed(3)
    inputs = keras.layers.Input((None, 4))
    made = keras.models.Model(inputs, keras.layers.Dense(3, activation="softmax")(Alternating()(inputs)))
    made.compile(keras.optimizers.SGD(0.0), LOSS)
    r_drop(made, 4.0, where=lambda x: ops.any(ops.not_equal(x, 0), axis=-1))
    rows, labels = np.zeros((1, 9, 4), "float32"), np.zeros((1, 9), int)
    rows[0, :6], labels[0, :6] = X, Y
    weights = dense(made)
    cross = expected(weights, 0.0) * 6 + -np.log(np.exp(weights[1]) / np.exp(weights[1]).sum())[0] * 3
    apart = expected(weights, 4.0) - expected(weights, 0.0)
    np.testing.assert_allclose(made.train_on_batch(rows, labels), cross / 9 + apart, rtol=1e-5)


def test_with_others_and_in_half_precision():
    losses = {}
    for policy in ("float32", "mixed_float16"):
        plain_keras.config.set_dtype_policy(policy)
        try:
            set_seed(4)
            inputs = keras.layers.Input((None,), dtype="int32")
            x = keras.layers.Embedding(6, 8, name="Embedding-Token")(inputs)
            # Not dropout, which draws otherwise in half precision.
            x = Alternating()(keras.layers.GlobalAveragePooling1D()(x))
            made = keras.models.Model(inputs, keras.layers.Dense(3, activation="softmax", dtype="float32")(x))
            made.compile(keras.optimizers.SGD(0.1), LOSS)
        finally:
            plain_keras.config.set_dtype_policy("float32")
        adversarial_training(made, "Embedding-Token", 0.3)
        r_drop(made)
        assert [t.kind for t in made.loss_transforms] == ["adversarial", "consistency"]
        set_seed(9)
        losses[policy] = made.fit(np.array([[1, 2, 3], [3, 4, 5]]), np.array([0, 1]), epochs=3, verbose=0).history[
            "loss"
        ]
    np.testing.assert_allclose(losses["float32"], losses["mixed_float16"], rtol=5e-3)


def test_arguments():
    with pytest.raises(ValueError, match="alpha"):
        r_drop(model(), 0)
    with pytest.raises(TypeError, match="bert4keras2.backend"):
        r_drop(plain_keras.Sequential([plain_keras.Input((2,)), plain_keras.layers.Dense(1)]))
