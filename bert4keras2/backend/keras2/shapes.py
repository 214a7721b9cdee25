"""The part of `K` that is about shapes: what Keras 2 called them, on real tensors and on symbolic ones."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import KerasTensor, ops

from bert4keras2.functional.registry import register

__all__ = [
    "arange",
    "batch_flatten",
    "concatenate",
    "dtype",
    "expand_dims",
    "eye",
    "flatten",
    "gather",
    "int_shape",
    "ndim",
    "ones",
    "permute_dimensions",
    "repeat",
    "repeat_elements",
    "reshape",
    "reverse",
    "shape",
    "squeeze",
    "stack",
    "temporal_padding",
    "tile",
    "transpose",
    "zeros",
]

# -- sizes that are known only when the graph runs -------------------------------------------------------------------
# In a functional graph a size may be a KerasTensor. keras.ops takes sizes as plain numbers, hence these operations.


def is_symbolic(*values: Any) -> bool:
    """Tell whether a KerasTensor is among the values, however nested."""
    return any(isinstance(value, KerasTensor) for value in keras.tree.flatten(list(values)))


def sizes(dims: Any) -> Any:
    """Return a shape as keras.ops wants it: a tuple of ints, -1 and (on TensorFlow) scalar tensors, or a tensor."""
    if hasattr(dims, "shape") and keras.backend.backend() == "tensorflow" and not isinstance(dims, np.ndarray):
        return dims
    if not isinstance(dims, list | tuple) and len(np.shape(dims) if np.isscalar(dims) else dims.shape) == 0:
        dims = [dims]
    return tuple(_size(dim) for dim in dims)


def _size(dim: Any) -> Any:
    if dim is None:
        return -1
    if ops.is_tensor(dim) and keras.backend.backend() == "tensorflow":
        return ops.cast(dim, "int32")
    if isinstance(dim, int | float | np.number | np.ndarray):
        return int(dim)
    if not ops.is_tensor(dim):
        return dim  # JAX has objects of its own for sizes that are not known while Keras traces a layer's shapes
    try:
        return int(dim)
    except Exception as error:
        raise TypeError(
            "A size was computed from tensors inside a compiled graph, where JAX needs plain numbers. K.shape(x)[i]"
            " itself may be a size; move further arithmetic (K.shape(x)[i] * 2) into the call of a layer, where sizes"
            " are numbers"
        ) from error


def _static(dims: Any) -> tuple[int | None, ...]:
    """Return a shape with None for what is known only later."""
    if isinstance(dims, KerasTensor):
        return (None,) * (dims.shape[0] if dims.shape else 1)
    return tuple(None if isinstance(dim, KerasTensor) or dim is None or dim == -1 else int(dim) for dim in dims)


@register
class ShapeOf(keras.Operation):
    """The shape of a tensor, (rank,) int32."""

    def call(self, x):
        """Return the shape: a tensor on TensorFlow, where sizes may be unknown, an array elsewhere."""
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            return tf.shape(x)
        known = ops.shape(x)
        return np.array(known, "int32" if all(isinstance(size, int) for size in known) else object)

    def compute_output_spec(self, x):
        """Return the symbolic result."""
        return KerasTensor((len(x.shape),), "int32")


@register
class ReshapeTo(keras.Operation):
    """Reshape a tensor to sizes that may be symbolic."""

    def call(self, x, dims):
        """Return `x` in its new shape."""
        return ops.reshape(x, sizes(dims))

    def compute_output_spec(self, x, dims):
        """Return the symbolic result."""
        return KerasTensor(_static(dims), x.dtype)


@register
class TileBy(keras.Operation):
    """Repeat a tensor as often as symbolic numbers say."""

    def call(self, x, repeats):
        """Return the repeated tensor."""
        return ops.tile(x, sizes(repeats))

    def compute_output_spec(self, x, repeats):
        """Return the symbolic result."""
        pairs = zip(x.shape, _static(repeats), strict=True)
        return KerasTensor(tuple(None if None in pair else pair[0] * pair[1] for pair in pairs), x.dtype)


@register
class FilledWith(keras.Operation):
    """A tensor of one value, of symbolic sizes."""

    def __init__(self, value: float, dtype: str, **kwargs: Any):
        super().__init__(**kwargs)
        self.value, self.fill_dtype = value, dtype

    def call(self, dims):
        """Return the tensor."""
        return ops.full(sizes(dims), self.value, dtype=self.fill_dtype)

    def compute_output_spec(self, dims):
        """Return the symbolic result."""
        return KerasTensor(_static(dims), self.fill_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return what the operation is rebuilt from."""
        return {"value": self.value, "dtype": self.fill_dtype, "name": self.name}


@register
class RangeOf(keras.Operation):
    """A range with symbolic ends."""

    def __init__(self, dtype: str, **kwargs: Any):
        super().__init__(**kwargs)
        self.range_dtype = dtype

    def call(self, start, stop, step):
        """Return the range."""
        ends = [_size(end) if "int" in self.range_dtype else end for end in (start, stop, step)]
        if all(isinstance(end, int) for end in ends) and len(range(*ends)) == 0:
            return ops.zeros((0,), dtype=self.range_dtype)
        return ops.arange(*ends, dtype=self.range_dtype)

    def compute_output_spec(self, start, stop, step):
        """Return the symbolic result."""
        return KerasTensor((None,), self.range_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return what the operation is rebuilt from."""
        return {"dtype": self.range_dtype, "name": self.name}


# -- asking for shapes -----------------------------------------------------------------------------------------------


def shape(x):
    """Return the shape of `x`, (rank,) int32: a tensor on TensorFlow and in functional graphs, else an array."""
    return ShapeOf()(x) if is_symbolic(x) else ShapeOf().call(x)


def int_shape(x) -> tuple[int | None, ...]:
    """Return the shape as a tuple, None where a size is not known."""
    return tuple(x.shape) if hasattr(x, "shape") else np.shape(x)


def ndim(x) -> int:
    """Return the number of axes."""
    return len(int_shape(x))


def dtype(x) -> str:
    """Return the name of the dtype."""
    return keras.backend.standardize_dtype(x.dtype if hasattr(x, "dtype") else np.asarray(x).dtype)


# -- changing shapes -------------------------------------------------------------------------------------------------


def reshape(tensor, *args: Any):
    """Reshape a tensor, or some of its axes.

    Args:
        tensor: a tensor.
        *args: the new shape; or pairs `shape, axis, shape, axis, ...`, each of which splits one axis into a shape.
    """
    if len(args) == 1:
        dims = args[0]
    elif args and len(args) % 2 == 0:
        rank = ndim(tensor)
        split = {axis % rank: new for new, axis in zip(args[::2], args[1::2], strict=True)}
        known = int_shape(tensor)
        whole = shape(tensor) if None in known else known
        old = [whole[i] if known[i] is None else known[i] for i in range(rank)]
        dims = [size for i in range(rank) for size in (split[i] if i in split else [old[i]])]
        if sum(isinstance(size, int) and size == -1 for size in dims) > 1:
            raise ValueError(f"K.reshape() can infer one size at most, got -1 several times: {dims}")
    else:
        raise ValueError("K.reshape(tensor, shape) or K.reshape(tensor, shape1, axis1, shape2, axis2, ...)")
    if is_symbolic(dims):
        return ReshapeTo()(tensor, dims)
    return ops.reshape(tensor, sizes(dims))


def flatten(tensor, start: int | None = None, end: int | None = None):
    """Merge the axes from `start` up to, but not including, `end` into one; all axes by default."""
    rank = ndim(tensor)
    first, last, _ = slice(start, end).indices(rank)
    known = int_shape(tensor)
    if last - first < 2 and rank:
        return ops.convert_to_tensor(tensor) if not is_symbolic(tensor) else tensor
    if sum(known[i] is None for i in (*range(first), *range(last, rank))) == 0:
        return ops.reshape(tensor, (*known[:first], -1, *known[last:]))
    whole = shape(tensor)
    kept = [known[i] if known[i] is not None else whole[i] for i in range(rank)]
    return reshape(tensor, [*kept[:first], -1, *kept[last:]])


def batch_flatten(x):
    """Return (B, everything else) of (B, ...)."""
    return flatten(x, 1)


def expand_dims(x, axis: int = -1):
    """Insert an axis of size 1."""
    return ops.expand_dims(x, axis)


def squeeze(x, axis: int):
    """Remove an axis of size 1."""
    return ops.squeeze(x, axis)


def transpose(x):
    """Reverse the order of the axes."""
    return ops.transpose(x, axes=tuple(reversed(range(ndim(x)))))


def permute_dimensions(x, pattern):
    """Reorder the axes: axis i of the result is axis `pattern[i]` of `x`."""
    return ops.transpose(x, axes=tuple(int(i) for i in pattern))


def tile(x, n):
    """Repeat `x` as a whole, `n[i]` times along axis i."""
    repeats = n if isinstance(n, list | tuple | np.ndarray) or getattr(n, "shape", ()) != () else [n]
    return TileBy()(x, repeats) if is_symbolic(repeats) else ops.tile(x, sizes(repeats))


def repeat(x, n: int):
    """Return (B, n, D) copies of (B, D)."""
    return ops.repeat(ops.expand_dims(x, 1), n, axis=1)


def repeat_elements(x, rep: int, axis: int):
    """Repeat every entry along an axis, as numpy.repeat does."""
    return ops.repeat(x, rep, axis=axis)


def reverse(x, axes):
    """Reverse the order along one axis or several."""
    return ops.flip(x, axis=axes)


def temporal_padding(x, padding=(1, 1)):
    """Pad axis 1 of (B, T, D) with zeros before and after."""
    return ops.pad(x, [[0, 0], [int(padding[0]), int(padding[1])], [0, 0]])


def _arrays(tensors):
    """Return the operands; lists become arrays, and `True` if all of them are arrays (shapes, which stay arrays)."""
    tensors = [t if hasattr(t, "shape") else np.asarray(t) for t in tensors]
    tensors = [t.astype("int32") if isinstance(t, np.ndarray) and t.dtype == "int64" else t for t in tensors]
    plain = keras.backend.backend() != "tensorflow" and all(isinstance(t, np.ndarray | np.generic) for t in tensors)
    return tensors, plain and all(t.dtype in ("int32", object) for t in tensors)


def concatenate(tensors, axis: int = -1):
    """Join tensors along an axis."""
    tensors, plain = _arrays(tensors)
    return np.concatenate(tensors, axis) if plain else ops.concatenate(tensors, axis=axis)


def stack(x, axis: int = 0):
    """Join tensors along a new axis."""
    tensors, plain = _arrays(x)
    return np.stack(tensors, axis) if plain else ops.stack(tensors, axis=axis)


def gather(reference, indices):
    """Return the rows of `reference` that integer indices of any shape name."""
    return ops.take(reference, ops.cast(indices, "int32") if "int" not in dtype(indices) else indices, axis=0)


# -- new tensors -----------------------------------------------------------------------------------------------------


def _filled(dims, value: float, dtype: str | None):
    dtype = dtype or keras.config.floatx()
    if is_symbolic(dims):
        return FilledWith(value, dtype)(dims)
    return ops.full(sizes(dims), value, dtype=dtype)


def zeros(shape, dtype: str | None = None, name: str | None = None):
    """Return a tensor of zeros (a tensor, not a variable: see `variable`)."""
    return _filled(shape, 0, dtype)


def ones(shape, dtype: str | None = None, name: str | None = None):
    """Return a tensor of ones (a tensor, not a variable: see `variable`)."""
    return _filled(shape, 1, dtype)


def eye(size: int, dtype: str | None = None, name: str | None = None):
    """Return an identity matrix."""
    return ops.eye(size, dtype=dtype or keras.config.floatx())


def arange(start, stop=None, step=1, dtype: str = "int32"):
    """Return the numbers from `start` (0 if it is alone) up to `stop`."""
    if stop is None:
        start, stop = 0, start
    if is_symbolic(start, stop, step):
        return RangeOf(dtype)(start, stop, step)
    return RangeOf(dtype).call(start, stop, step)
