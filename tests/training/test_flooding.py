"""Flooding: the loss stays at its level, and each step is the plain one in the one direction or the other."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from bert4keras2.backend import keras, set_seed
from bert4keras2.training import flooding, plain_training

pytestmark = pytest.mark.backend
X = np.random.RandomState(0).standard_normal((64, 6)).astype("float32")
Y = np.random.RandomState(1).randint(0, 2, 64)


def model(rate=0.1):
    set_seed(5)
    inputs = keras.layers.Input((6,))
    hidden = keras.layers.Dense(32, activation="relu")(inputs)
    made = keras.models.Model(inputs, keras.layers.Dense(2, activation="softmax")(hidden))
    made.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy")
    return made


def weights(made):
    return [ops.convert_to_numpy(v).astype("float64") for v in made.trainable_weights]


@pytest.mark.parametrize(("level", "sign"), [(0.01, 1), (5.0, -1)])
def test_a_step_goes_down_above_the_level_and_up_below_it(level, sign):
    plain, flooded = model(), model()
    flooding(flooded, level)
    start = weights(plain)
    loss = plain.train_on_batch(X, Y)
    logged = flooded.train_on_batch(X, Y)
    assert np.isclose(logged, abs(loss - level) + level, atol=1e-5)
    for before, there, here in zip(start, weights(plain), weights(flooded), strict=True):
        np.testing.assert_allclose(here - before, sign * (there - before), atol=1e-6)
    plain_training(flooded)
    assert not flooded.loss_transforms


def test_noise_is_not_memorised():
    """Labels at random: without flooding the loss goes towards zero, with it the loss floats around the level."""
    losses = {}
    for level in (None, 0.4):
        made = model(0.5)
        if level is not None:
            flooding(made, level)
        # 400 steps on the same rows, as one epoch.
        made.fit(np.tile(X, (400, 1)), np.tile(Y, 400), batch_size=64, verbose=0, shuffle=False)
        plain_training(made)
        losses[level] = made.evaluate(X, Y, batch_size=64, verbose=0)
    assert losses[None] < 0.25 and 0.35 < losses[0.4] < 0.45


def test_levels_and_models():
    made = model()
    flooding(made, 0.2)
    flooding(made, 0.3)
    assert [transform.level for transform in made.loss_transforms] == [0.3]
    for level in (0, -1, None, "much"):
        with pytest.raises(ValueError, match="level must be a number greater than 0"):
            flooding(made, level)
    import keras as plain_keras

    with pytest.raises(TypeError, match="Only models of bert4keras2"):
        flooding(plain_keras.Sequential([plain_keras.layers.Dense(1)]), 0.1)
