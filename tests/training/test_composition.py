"""Techniques of all kinds in one `fit`, in half precision and with micro-batches; and what cannot be joined."""

from __future__ import annotations

import keras as plain_keras
import numpy as np
import pytest
from by_hand import LOSS, Alternating
from keras import ops

from bert4keras2.backend import keras, set_seed
from bert4keras2.callbacks import EMA
from bert4keras2.optimizers import Adam, extend_with_gradient_accumulation
from bert4keras2.training import adversarial_training, layerwise_decay, r_drop

pytestmark = pytest.mark.backend
TOKENS = np.array([[2, 5, 6, 7, 3], [2, 8, 5, 3, 0], [2, 9, 9, 4, 3], [2, 4, 8, 3, 0]] * 2)
Y = np.array([0, 1, 1, 0] * 2)


def fitted(policy="float32", without=()):
    """Return the losses and the final weights of two epochs of four micro-batches, two to a step."""
    plain_keras.config.set_dtype_policy(policy)
    try:
        set_seed(4)
        x = inputs = keras.layers.Input((None,), dtype="int32")
        x = keras.layers.Embedding(12, 8, name="Embedding-Token")(x)
        x = keras.layers.Dense(8, activation="tanh", name="Transformer-0-Dense")(x)
        # In place of dropout, which draws otherwise in half precision.
        x = Alternating()(keras.layers.GlobalAveragePooling1D()(x))
        head = keras.layers.Dense(2, activation="softmax", dtype="float32", name="head")
        model = keras.models.Model(inputs, head(x))
        optimizer = extend_with_gradient_accumulation(Adam)(0.01, grad_accum_steps=2)
        if policy == "mixed_float16":  # a scale that no step is left out for
            optimizer = plain_keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=64.0)
        model.compile(optimizer, LOSS, auto_scale_loss=False)
    finally:
        plain_keras.config.set_dtype_policy("float32")
    if "fgm" not in without:
        adversarial_training(model, "Embedding-Token", 0.3)
    if "r_drop" not in without:
        r_drop(model, 40.0)
    if "decay" not in without:
        layerwise_decay(model, 0.5)
    average = EMA(0.5)
    callbacks = [] if "ema" in without else [average]
    losses = model.fit(TOKENS, Y, batch_size=2, epochs=2, shuffle=False, callbacks=callbacks, verbose=0).history["loss"]
    assert "ema" in without or average.updates == 4
    inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    assert int(ops.convert_to_numpy(inner.iterations)) == 8  # micro-batches
    weights = {v.path: np.array(ops.convert_to_numpy(v), "float64") for v in model.trainable_variables}
    return losses, weights, type(model.optimizer).__name__


def distance(left, right):
    return max(np.abs(value - right[path]).max() for path, value in left.items())


def test_all_in_one_fit():
    """Half precision goes the way of float32, and each of the four is missed if it is left out."""
    losses, weights, _ = fitted()
    half_losses, half, optimizer = fitted("mixed_float16")
    assert optimizer == "LossScaleOptimizer"
    np.testing.assert_allclose(half_losses, losses, rtol=1e-2)
    # Adam's first steps are of one length whatever the gradient: a few small ones may change their sign.
    close = np.concatenate([np.abs(value - half[path]).ravel() for path, value in weights.items()])
    assert np.quantile(close, 0.95) < 2e-3
    # What is left out is the same on all backends; others than PyTorch compile each of these steps for seconds.
    for name in ("fgm", "r_drop", "decay", "ema") if plain_keras.backend.backend() == "torch" else ():
        assert distance(weights, fitted(without=(name,))[1]) > 4e-4, name
