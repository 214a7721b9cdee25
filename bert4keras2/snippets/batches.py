"""Batches as Keras takes them: tuples of arrays, and what tf.data has to know of their shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["as_array", "batch_parts", "conform", "flat", "map_arrays", "refilled", "signature"]


def batch_parts(batch: Any, inputs_only: bool = False) -> tuple:
    """Return a batch as (inputs,), (inputs, targets) or (inputs, targets, sample weights).

    Args:
        batch: what a generator yields.
        inputs_only: it is the model's inputs alone, not (inputs, targets).

    Raises:
        ValueError: if it has more parts.
    """
    if inputs_only or not isinstance(batch, list | tuple):
        return (batch,)
    if not 1 <= len(batch) <= 3:
        raise ValueError(
            f"A batch must be (inputs, targets) or (inputs, targets, sample weights), got {len(batch)} parts;"
            " put several inputs into a list of their own: yield [tokens, segments], labels"
        )
    return tuple(batch)


def without_nothing(parts: tuple) -> tuple:
    """Return the parts of a batch up to the last that is not None: labels None say that the loss is a layer."""
    while len(parts) > 1 and parts[-1] is None:
        parts = parts[:-1]
    return parts


def as_array(values: Any) -> Any:
    """Return an array; double precision becomes Keras' own, as it does when Keras is given arrays."""
    if type(values).__module__.partition(".")[0] == "torch":
        import keras

        if keras.backend.backend() == "torch":
            return values
        values = values.detach().cpu()
    array = np.asarray(values)
    if array.dtype != np.float64:
        return array
    import keras

    return array.astype(keras.config.floatx())


# -- nested structures -------------------------------------------------------------------------------------------


def _is_array(part: Any) -> bool:
    """Tell whether a part of a batch stands for one array; lists of plain numbers do."""
    return not isinstance(part, dict | list | tuple) or (not isinstance(part, dict) and all(map(np.isscalar, part)))


def map_arrays(function: Callable[[Any], Any], part: Any) -> Any:
    """Apply `function` to each array of nested lists, tuples and dicts; None stays."""
    if part is None:
        return None
    if _is_array(part):
        return function(part)
    if isinstance(part, dict):
        return {key: map_arrays(function, part[key]) for key in sorted(part)}
    return type(part)(map_arrays(function, value) for value in part)


def flat(part: Any) -> list[Any]:
    """Return the arrays of nested lists, tuples and dicts in their order."""
    arrays: list[Any] = []
    map_arrays(arrays.append, part)
    return arrays


# -- what tf.data has to know ------------------------------------------------------------------------------------


def refilled(batch: tuple, leaves: Sequence[Any]) -> tuple:
    """Return the batch with other leaves, and with tuples for lists, which tf.data would stack."""
    if any(part is None for part in batch):
        raise ValueError("A batch has sample weights but no targets, which tf.data cannot carry; yield targets too")
    remaining = iter(leaves)

    def refill(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: refill(part[key]) for key in sorted(part)}
        return tuple(map(refill, part)) if isinstance(part, list | tuple) else next(remaining)

    return refill(batch)


def signature(
    batches: Sequence[tuple],
    shapes: Sequence[Sequence[int | None]] | None = None,
    input_shapes: Sequence[Sequence[int | None]] = (),
) -> tuple:
    """Return the tf.TensorSpecs of batches.

    Args:
        batches: the first ones.
        shapes: of each array, in order, with None for what varies; found from the batches if None, where a size of 1
            in all of them is taken to be fixed.
        input_shapes: of the inputs alone, as far as the model knows them.

    Raises:
        ValueError: if there are more or fewer shapes than arrays.
    """
    import tensorflow as tf

    columns = list(zip(*(flat(batch) for batch in batches), strict=True))
    if shapes is None:
        shapes = [_varying_shape(column) for column in columns]
        inputs = batches[0][0]
        if not isinstance(inputs, dict) and len(flat(inputs)) == len(input_shapes):
            known = [
                tuple(shape) if len(shape) == len(found) else found
                for shape, found in zip(input_shapes, shapes, strict=False)
            ]
            shapes[: len(known)] = known
    if len(shapes) != len(columns):
        raise ValueError(f"output_shapes has {len(shapes)} shapes, but a batch has {len(columns)} arrays")
    specs = [tf.TensorSpec(shape, column[0].dtype) for shape, column in zip(shapes, columns, strict=True)]
    return refilled(batches[0], specs)


def _varying_shape(arrays: Sequence[np.ndarray]) -> tuple[int | None, ...]:
    """Return a shape with None for the sizes that may vary: all but those that are 1 in every array.

    A column of labels (B, 1) must stay one: sparse losses and metrics look at that size.
    """
    axes = range(1, arrays[0].ndim)
    arrays = [_of_rank(array, arrays[0].ndim) for array in arrays]
    return (None, *(1 if all(array.shape[axis] == 1 for array in arrays) else None for axis in axes))


def _of_rank(array: np.ndarray, rank: int) -> np.ndarray:
    """Return flat labels as a column or a column as flat labels, where a batch has the other form than the first."""
    if array.ndim == rank - 1:
        return array[..., None]
    return array[..., 0] if array.ndim == rank + 1 and array.shape[-1] == 1 else array


def conform(arrays: list[np.ndarray], specs: Sequence[Any], number: int) -> list[np.ndarray]:
    """Return the arrays of a batch with the ranks and dtypes that the first batch had, or say what differs.

    Args:
        arrays: of a batch, in order.
        specs: their tf.TensorSpecs.
        number: of the batch.

    Raises:
        ValueError: if they cannot be had in that form.
    """
    if len(arrays) != len(specs):
        raise ValueError(f"Batch {number} has {len(arrays)} arrays, the first had {len(specs)}")
    return [_conformed(array, spec, number, i) for i, (array, spec) in enumerate(zip(arrays, specs, strict=True))]


def _conformed(array: np.ndarray, spec: Any, number: int, index: int) -> np.ndarray:
    array = _of_rank(array, len(spec.shape))
    if not spec.shape.is_compatible_with(array.shape):
        raise ValueError(
            f"Array {index} of batch {number} has shape {array.shape}, expected {tuple(spec.shape)}: a size of 1 in the"
            " first batches was taken to be fixed. Set output_shapes on the DataGenerator, one shape for each array,"
            " with None for what varies"
        )
    dtype = spec.dtype.as_numpy_dtype
    if array.dtype == dtype or not isinstance(dtype, type) or not issubclass(dtype, np.number | np.bool_):
        return array
    converted = array.astype(dtype)
    if np.issubdtype(dtype, np.integer) and not np.array_equal(converted, array):
        raise ValueError(
            f"Array {index} of batch {number} is {array.dtype}, but the first batch had whole numbers"
            f" ({np.dtype(dtype).name}); give it one dtype in every batch, such as np.array(labels, 'float32')"
        )
    return converted
