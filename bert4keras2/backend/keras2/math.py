"""The part of `K` that computes: element by element, along axes, and products. Names shadow Python's on purpose."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from bert4keras2.backend.keras2.shapes import dtype as dtype_of
from bert4keras2.backend.keras2.shapes import ndim

__all__ = [
    "abs",
    "all",
    "any",
    "argmax",
    "argmin",
    "batch_dot",
    "bias_add",
    "cast",
    "clip",
    "cos",
    "cumprod",
    "cumsum",
    "dot",
    "elu",
    "equal",
    "exp",
    "greater",
    "greater_equal",
    "hard_sigmoid",
    "in_top_k",
    "l2_normalize",
    "less",
    "less_equal",
    "log",
    "logsumexp",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "not_equal",
    "one_hot",
    "ones_like",
    "pow",
    "prod",
    "relu",
    "round",
    "sigmoid",
    "sign",
    "sin",
    "softmax",
    "softplus",
    "softsign",
    "sqrt",
    "square",
    "std",
    "stop_gradient",
    "sum",
    "tanh",
    "var",
    "where",
    "zeros_like",
]

# -- element by element ----------------------------------------------------------------------------------------------


def _float(x):
    """Return `x`, cast if it is neither float nor complex."""
    return x if "float" in dtype_of(x) or "complex" in dtype_of(x) else ops.cast(x, keras.config.floatx())


def cast(x, dtype):
    """Convert to a dtype."""
    return ops.cast(x, dtype)


def abs(x):
    """Return the absolute value."""
    return ops.abs(x)


def square(x):
    """Return x * x."""
    return ops.square(x)


def sqrt(x):
    """Return the square root, 0 of negative numbers."""
    x = _float(x)
    return ops.sqrt(ops.maximum(x, ops.cast(0, dtype_of(x))))


def exp(x):
    """Return e to the power of x."""
    return ops.exp(x)


def log(x):
    """Return the natural logarithm."""
    return ops.log(x)


def pow(x, a):
    """Return x to the power of a."""
    return ops.power(x, a)


def sign(x):
    """Return -1, 0 or 1."""
    return ops.sign(x)


def round(x):
    """Return the nearest integer, the even one of two."""
    return ops.round(x)


def sin(x):
    """Return the sine."""
    return ops.sin(x)


def cos(x):
    """Return the cosine."""
    return ops.cos(x)


def tanh(x):
    """Return the hyperbolic tangent."""
    return ops.tanh(x)


def sigmoid(x):
    """Return 1 / (1 + exp(-x))."""
    return ops.sigmoid(x)


def hard_sigmoid(x):
    """Return 0.2 x + 0.5 between 0 and 1, Keras 2's definition (Keras 3 has the slope 1/6)."""
    x = _float(x)
    return ops.clip(x * 0.2 + 0.5, 0.0, 1.0)


def softmax(x, axis: int = -1):
    """Return exp(x) normalised along an axis."""
    return ops.softmax(x, axis=axis)


def softplus(x):
    """Return log(1 + exp(x))."""
    return ops.softplus(x)


def softsign(x):
    """Return x / (1 + |x|)."""
    return ops.softsign(x)


def elu(x, alpha: float = 1.0):
    """Return x where positive, alpha (exp(x) - 1) elsewhere."""
    return ops.elu(x, alpha=alpha)


def relu(x, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0):
    """Return x from `threshold` on, at most `max_value`; below, alpha (x - threshold)."""
    x = _float(x)
    y = ops.where(x >= threshold, x, alpha * (x - threshold))
    return y if max_value is None else ops.minimum(y, ops.cast(max_value, dtype_of(x)))


def clip(x, min_value=None, max_value=None):
    """Limit x to [min_value, max_value]; None is no limit, and a maximum below the minimum counts as the minimum."""
    if isinstance(min_value, int | float) and isinstance(max_value, int | float) and max_value < min_value:
        max_value = min_value
    kind = dtype_of(x)
    if min_value is not None:
        x = ops.maximum(x, ops.cast(min_value, kind))
    return x if max_value is None else ops.minimum(x, ops.cast(max_value, kind))


def where(cond, x, y):
    """Return x where `cond` is true or not 0, y elsewhere; all three broadcast."""
    return ops.where(cond if dtype_of(cond) == "bool" else ops.not_equal(cond, 0), x, y)


def equal(x, y):
    """Return x == y as booleans."""
    return ops.equal(x, y)


def not_equal(x, y):
    """Return x != y as booleans."""
    return ops.not_equal(x, y)


def greater(x, y):
    """Return x > y as booleans."""
    return ops.greater(x, y)


def greater_equal(x, y):
    """Return x >= y as booleans."""
    return ops.greater_equal(x, y)


def less(x, y):
    """Return x < y as booleans."""
    return ops.less(x, y)


def less_equal(x, y):
    """Return x <= y as booleans."""
    return ops.less_equal(x, y)


def maximum(x, y):
    """Return the larger of two, element by element."""
    return ops.maximum(x, y)


def minimum(x, y):
    """Return the smaller of two, element by element."""
    return ops.minimum(x, y)


def _value(x):
    """Return the tensor of a variable, which NumPy's functions of JAX do not take; anything else as it is."""
    return ops.convert_to_tensor(x) if isinstance(x, keras.Variable) else x


def zeros_like(x, dtype: str | None = None, name: str | None = None):
    """Return zeros in the shape and dtype of x."""
    return ops.zeros_like(_value(x), dtype=dtype)


def ones_like(x, dtype: str | None = None, name: str | None = None):
    """Return ones in the shape and dtype of x."""
    return ops.ones_like(_value(x), dtype=dtype)


def one_hot(indices, num_classes: int):
    """Return (..., num_classes) floats, 1 at the index of the last axis."""
    return ops.one_hot(ops.cast(indices, "int32"), num_classes)


def stop_gradient(variables):
    """Return the tensor, or each of a list, as a constant."""
    if isinstance(variables, list | tuple):
        return [ops.stop_gradient(v) for v in variables]
    return ops.stop_gradient(variables)


# -- along axes ------------------------------------------------------------------------------------------------------


def _axis(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


def sum(x, axis=None, keepdims: bool = False):
    """Return the sum over `axis`; booleans are counted."""
    return ops.sum(ops.cast(x, "int32") if dtype_of(x) == "bool" else x, axis=_axis(axis), keepdims=keepdims)


def prod(x, axis=None, keepdims: bool = False):
    """Return the product over `axis`; of whole numbers in an array, such as sizes of K.shape, one that is no tensor."""
    if isinstance(x, np.ndarray) and np.issubdtype(x.dtype, np.integer):
        return np.prod(x, axis=_axis(axis), keepdims=keepdims)  # inside of what JAX compiles, a size has to be known
    return ops.prod(x, axis=_axis(axis), keepdims=keepdims)


def mean(x, axis=None, keepdims: bool = False):
    """Return the mean over `axis`, in floatx for booleans and integers."""
    return ops.mean(_float(x), axis=_axis(axis), keepdims=keepdims)


def var(x, axis=None, keepdims: bool = False):
    """Return the variance over `axis` (divided by the number of entries)."""
    return ops.var(_float(x), axis=_axis(axis), keepdims=keepdims)


def std(x, axis=None, keepdims: bool = False):
    """Return the standard deviation over `axis`."""
    return ops.sqrt(var(x, axis, keepdims))


def max(x, axis=None, keepdims: bool = False):
    """Return the largest entry over `axis`."""
    return ops.max(x, axis=_axis(axis), keepdims=keepdims)


def min(x, axis=None, keepdims: bool = False):
    """Return the smallest entry over `axis`."""
    return ops.min(x, axis=_axis(axis), keepdims=keepdims)


def any(x, axis=None, keepdims: bool = False):
    """Tell whether an entry over `axis` is true or not 0."""
    return ops.any(ops.cast(x, "bool"), axis=_axis(axis), keepdims=keepdims)


def all(x, axis=None, keepdims: bool = False):
    """Tell whether all entries over `axis` are true or not 0."""
    return ops.all(ops.cast(x, "bool"), axis=_axis(axis), keepdims=keepdims)


def _indices(x):
    """Return indices as int64; JAX keeps int32, as it has no wider integers unless configured."""
    return x if keras.backend.backend() == "jax" else ops.cast(x, "int64")


def argmax(x, axis: int = -1):
    """Return the index of the largest entry, int64 (int32 on JAX)."""
    return _indices(ops.argmax(x, axis=axis))


def argmin(x, axis: int = -1):
    """Return the index of the smallest entry, int64 (int32 on JAX)."""
    return _indices(ops.argmin(x, axis=axis))


def cumsum(x, axis: int = 0):
    """Return running sums."""
    return ops.cumsum(x, axis=axis)


def cumprod(x, axis: int = 0):
    """Return running products."""
    return ops.cumprod(x, axis=axis)


def logsumexp(x, axis=None, keepdims: bool = False):
    """Return log(sum(exp(x))) over `axis`."""
    return ops.logsumexp(x, axis=_axis(axis), keepdims=keepdims)


def l2_normalize(x, axis=None):
    """Return x divided by its Euclidean length over `axis` (by 1e-6 at least)."""
    square_sum = ops.sum(ops.square(x), axis=_axis(axis), keepdims=True)
    return x * ops.rsqrt(ops.maximum(square_sum, ops.cast(1e-12, dtype_of(x))))


def in_top_k(predictions, targets, k: int):
    """Tell for each row of (B, C) whether its target (B,) is among the k largest."""
    return ops.in_top_k(targets, predictions, k=k)


# -- products --------------------------------------------------------------------------------------------------------


def dot(x, y):
    """Sum over the last axis of x and the last but one of y: (2, 3) and (4, 3, 5) give (2, 4, 5)."""
    return ops.tensordot(x, y, axes=[[-1], [-2]]) if ndim(y) > 2 else ops.dot(x, y)


def batch_dot(x, y, axes=None):
    """Multiply each batch element of x with that of y, summing over one axis of each.

    Args:
        x: (B, ...) with at least 2 axes.
        y: (B, ...) with at least 2 axes.
        axes: the two axes to sum over, or one number for both; by default the last of x and the last but one of y
            (the last if y has only two).

    Returns:
        (B, rest of x, rest of y); (B, 1) if nothing is left.
    """
    left, right = ndim(x), ndim(y)
    if left < 2 or right < 2:
        raise ValueError(f"K.batch_dot() needs inputs of 2 axes at least, got {left} and {right}")
    if axes is None:
        axes = [left - 1, right - 1 if right == 2 else right - 2]
    axes = [axes, axes] if isinstance(axes, int) else list(axes)
    axes = [axes[0] % left, axes[1] % right]
    if 0 in axes:
        raise ValueError(f"K.batch_dot() cannot sum over the batch axis: axes={axes}")
    letters = iter("bcdefghijklmnopqrstuvwxyz")
    names_x, names_y = (["a", *(next(letters) for _ in range(rank - 1))] for rank in (left, right))
    names_y[axes[1]] = names_x[axes[0]]
    kept = [n for i, n in enumerate(names_x) if i not in (0, axes[0])]
    kept += [n for i, n in enumerate(names_y) if i not in (0, axes[1])]
    result = ops.einsum(f"{''.join(names_x)},{''.join(names_y)}->a{''.join(kept)}", x, y)
    return result if kept else ops.expand_dims(result, 1)


def bias_add(x, bias, data_format: str | None = None):
    """Add a vector to the last axis."""
    if data_format == "channels_first":
        raise ValueError("K.bias_add() knows data_format='channels_last' only; transpose, or add the bias yourself")
    return x + bias
