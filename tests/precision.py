"""How far a computation in bfloat16 may be from the exact one: by its arithmetic, not by what one machine gave."""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np
from keras import ops

# Besides a matrix of weights, computing in bfloat16 rounds what goes into its product and comes out of it, the sum with
# the bias, the activation, dropout's and the residual's sums, the normalization's output; in attention also rotated
# queries and keys, their products, the weights and what these pick. No block here has more than 16 for each matrix.
ROUNDINGS = 16
# A product that rounds is off by 0.0017 of its size; one that cuts off, as TensorFlow's does on CPUs without bfloat16,
# by 0.0033.
CUTS_OFF = 0.0025


@functools.cache
def product_error() -> float:
    """Return the relative error (L2 norms) of a product of matrices in bfloat16 on this machine and backend."""
    random = np.random.RandomState(0)
    a, b = (in_bfloat16(random.standard_normal(shape)) for shape in ((64, 48), (48, 64)))
    product = ops.matmul(ops.cast(a, "bfloat16"), ops.cast(b, "bfloat16"))
    return distance(product, a.astype("float64") @ b)


def allowed(least: float) -> float:
    """Return how far a result in bfloat16 may be from the exact one, relative to its size.

    Rounding errors are of one size and independent, so 16 of them together are 4 times as large as one. Where products
    cut off, all errors go in one direction and add up: 16 times. The result itself is rounded, too.

    Args:
        least: what rounding nothing but the weights (and inputs) to bfloat16 does to the same result, computed in
            float32: how much the case at hand makes of one rounding.
    """
    error = product_error()
    return (ROUNDINGS if error > CUTS_OFF else ROUNDINGS**0.5) * least + error


def in_bfloat16(x: Any) -> np.ndarray:
    """Return the nearest values of bfloat16 to those of a floating array, as float32; whole numbers as they are."""
    x = np.asarray(x)
    return x if x.dtype.kind in "iub" else ops.convert_to_numpy(ops.cast(ops.cast(x, "bfloat16"), "float32"))


def round_weights(owner: Any) -> None:
    """Round the weights of a model or layer to bfloat16; they stay float32."""
    for variable in owner.weights:
        variable.assign(in_bfloat16(ops.convert_to_numpy(variable)))


def distance(actual: Any, wanted: np.ndarray, where: Any = ...) -> float:
    """Return how far a tensor is from an array at some places, relative to the array's size (L2 norms)."""
    actual = ops.convert_to_numpy(ops.cast(actual, "float32"))
    return float(np.linalg.norm((actual - wanted)[where]) / np.linalg.norm(wanted[where]))


class policy:
    """A context in which new layers have a dtype policy."""

    def __init__(self, name: str):
        self.name = name

    def __enter__(self) -> None:
        self.before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(self.name)

    def __exit__(self, *_: Any) -> None:
        keras.config.set_dtype_policy(self.before)
