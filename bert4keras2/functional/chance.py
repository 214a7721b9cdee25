"""Random choices that cost little: on a CPU, those of dropout are a large part of a training step.

A value is kept or not by a number of 16 bits. On PyTorch and TensorFlow four of them are cut from one that the
generator draws; on JAX, whose generator takes many operations for each number, they are hashes of the place and the
seed.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

__all__ = ["KINDS", "kept", "thinned"]

KINDS = 1 << 16  # how many numbers there are: shares are multiples of one in so many


def kept(like: Any, dropped: int, scale: float, seed: Any = None) -> Any:
    """Return random factors: 0 with the probability `dropped` / KINDS, and `scale` otherwise.

    Args:
        like: a tensor, whose shape and type the factors have.
        dropped: from 1 to KINDS - 1.
        scale: the other factor.
        seed: a SeedGenerator, of which one seed is taken; None for PyTorch's own generator, on PyTorch alone.

    Returns:
        A tensor that no gradient goes through.
    """
    draw = {"torch": _on_torch, "tensorflow": _on_tensorflow, "jax": _on_jax}[keras.backend.backend()]
    return draw(like, dropped, scale, seed)


def thinned(x: Any, share: float, rescale: bool, seed: Any) -> Any:
    """Return x of which a share by chance is kept, and the rest is 0.

    On PyTorch the share is a multiple of 1/256, and x is passed over as few times as can be: where each weight of a
    model is asked for in each step, this is what counts.

    Args:
        x: a floating tensor.
        share: the probability that an entry is kept, between 0 and 1.
        rescale: divide what is kept by the share.
        seed: a SeedGenerator, of which one seed is taken.
    """
    if keras.backend.backend() != "torch":
        dropped = min(max(round((1 - share) * KINDS), 1), KINDS - 1)
        return x * kept(x, dropped, KINDS / (KINDS - dropped) if rescale else 1.0, seed)
    import torch

    stay = min(max(round(share * 256), 1), 255)
    with torch.no_grad():
        factors = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        torch.ge(_numbers(x, torch.int8, seed), 128 - stay, out=factors)
        factors.mul_(x)
        return factors.mul_(256 / stay) if rescale else factors


def _numbers(like: Any, dtype: Any, seed: Any) -> Any:
    """Return random integers of all values of a type of PyTorch, in the shape of a tensor."""
    import torch

    generator = None
    if seed is not None:
        first, second = (int(number) for number in ops.convert_to_numpy(seed.next()))
        generator = torch.Generator(like.device).manual_seed(first * 0x9E3779B1 + second & 0x7FFFFFFFFFFFFFFF)
    count, each = like.numel(), 8 // dtype.itemsize
    words = torch.empty(-(-count // each), dtype=torch.int64, device=like.device)
    words.random_(-(2**63), 2**63 - 1, generator=generator)
    return words.view(dtype)[:count].view(like.shape)


def _on_torch(like: Any, dropped: int, scale: float, seed: Any) -> Any:
    import torch

    with torch.no_grad():
        factors = torch.empty(like.shape, dtype=like.dtype, device=like.device)
        torch.ge(_numbers(like, torch.int16, seed), dropped - KINDS // 2, out=factors)
        return factors.mul_(scale)


def _on_tensorflow(like: Any, dropped: int, scale: float, seed: Any) -> Any:
    import tensorflow as tf

    count = tf.size(like)
    words = tf.random.stateless_uniform([-(-count // 4)], seed.next(), None, None, tf.int64)
    numbers = tf.reshape(tf.reshape(tf.bitcast(words, tf.int16), [-1])[:count], tf.shape(like))
    return tf.cast(numbers >= dropped - KINDS // 2, like.dtype) * tf.cast(scale, like.dtype)


def _on_jax(like: Any, dropped: int, scale: float, seed: Any) -> Any:
    import jax

    # Two numbers of the real generator tell the hashes of each seed from all others.
    first, second = jax.random.bits(seed.next(), (2,), "uint32")
    places = jax.lax.iota("uint32", like.size).reshape(like.shape)
    numbers = _mixed(_mixed(places ^ first) + second) >> 16
    return ops.where(numbers >= dropped, ops.cast(scale, like.dtype), ops.cast(0, like.dtype))


def _mixed(x: Any) -> Any:
    """Return a permutation of the numbers of 32 bits in which each bit hangs on all of x (C. Wellons' lowbias32)."""
    x = (x ^ (x >> 16)) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * np.uint32(0x846CA68B)
    return x ^ (x >> 16)
