"""Dropout whose random numbers cost little: in a step on a CPU they took as long as the products of matrices."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert4keras2.functional.registry import register

__all__ = ["Dropout"]

HALF = 1 << 15  # numbers of 16 bits are read as -HALF to HALF - 1


@register
class Dropout(keras.layers.Dropout):
    """Set a random share of the values to zero while training, and scale the others so that the mean stays.

    Like keras.layers.Dropout (Srivastava et al., JMLR 15, 2014), which it is for old scripts too, but each value is
    kept or dropped by a number of 16 bits: on PyTorch and TensorFlow four of them are cut from one that the generator
    draws, on JAX they are hashes of the place and the seed. The share is therefore a multiple of 1/65536, and values
    are scaled by what is really kept.

    Args:
        rate: share that is dropped, from 0 to 1.
        noise_shape: as in Keras; with one, Keras draws the numbers.
        seed: as in Keras; on PyTorch, Keras draws the numbers where one is given.
    """

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        """Return the inputs, of any shape, with values dropped where `training`."""
        threshold = round(self.rate * 2 * HALF)
        if not training or self.noise_shape is not None or not 0 < threshold < 2 * HALF:
            return super().call(inputs, training=training)
        draw = {"torch": _on_torch, "tensorflow": _on_tensorflow, "jax": _on_jax}.get(keras.backend.backend())
        kept = None if draw is None else draw(inputs, threshold, self)
        if kept is None:
            return super().call(inputs, training=training)
        return inputs * kept


def _on_torch(inputs: Any, threshold: int, layer: Any) -> Any:
    """Return what to multiply with, 0 or the scale; None where PyTorch's own is as fast, or is told its seed."""
    import torch

    if inputs.device.type != "cpu" or layer.seed is not None or torch.compiler.is_compiling():
        return None
    count = inputs.numel()
    with torch.no_grad():
        words = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), 2**63 - 1)
        numbers = words.view(torch.int16)[:count].view(inputs.shape)
        kept = torch.empty(inputs.shape, dtype=inputs.dtype)
        torch.ge(numbers, threshold - HALF, out=kept)
        return kept.mul_(_scale(threshold))


def _on_tensorflow(inputs: Any, threshold: int, layer: Any) -> Any:
    """Return what to multiply with, 0 or the scale."""
    import tensorflow as tf

    count = tf.size(inputs)
    words = tf.random.stateless_uniform([-(-count // 4)], layer.seed_generator.next(), None, None, tf.int64)
    numbers = tf.reshape(tf.reshape(tf.bitcast(words, tf.int16), [-1])[:count], tf.shape(inputs))
    return tf.cast(numbers >= threshold - HALF, inputs.dtype) * tf.cast(_scale(threshold), inputs.dtype)


def _on_jax(inputs: Any, threshold: int, layer: Any) -> Any:
    """Return what to multiply with, 0 or the scale.

    The generator of JAX (threefry) takes 25 times the time of a hash that mixes all bits twice. It is asked for two
    numbers, by which the hashes of each layer and step differ from all others.
    """
    import jax

    first, second = jax.random.bits(layer.seed_generator.next(), (2,), "uint32")
    places = jax.lax.iota("uint32", inputs.size).reshape(inputs.shape)
    numbers = _mixed(_mixed(places ^ first) + second) >> 16
    return ops.where(numbers >= threshold, ops.cast(_scale(threshold), inputs.dtype), ops.cast(0, inputs.dtype))


def _scale(threshold: int) -> float:
    return 2 * HALF / (2 * HALF - threshold)


def _mixed(x: Any) -> Any:
    """Return a permutation of the numbers of 32 bits in which each bit hangs on all of x (C. Wellons' lowbias32)."""
    import numpy as np

    x = (x ^ (x >> 16)) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * np.uint32(0x846CA68B)
    return x ^ (x >> 16)
