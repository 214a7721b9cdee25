"""Shapes and types of arrays as files spell them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bert4keras2.errors import CheckpointDamagedError

__all__ = ["array_dtype", "array_shape"]

_MOST_AXES = 32  # of arrays in NumPy before version 2
_MOST_BYTES = 2**62


def array_shape(sizes: Any, itemsize: int, damaged: str) -> tuple[int, ...]:
    """Return what a file says of a shape as a tuple, once it is one that an array can have.

    Args:
        sizes: a list or tuple of anything.
        itemsize: bytes of one value.
        damaged: the message, should it not be one.

    Raises:
        CheckpointDamagedError: for anything but whole numbers from 0 on, more axes than arrays have, or an array
            that no memory could hold (a size of 0 beside it does not count).
    """
    fine = isinstance(sizes, list | tuple) and len(sizes) <= _MOST_AXES
    fine = fine and all(type(size) is int and 0 <= size < _MOST_BYTES for size in sizes)
    if not fine or math.prod(max(size, 1) for size in sizes) * itemsize >= _MOST_BYTES:
        raise CheckpointDamagedError(damaged)
    return tuple(sizes)


def array_dtype(name: str) -> np.dtype:
    """Return the dtype of a name; those that NumPy lacks come from ml_dtypes."""
    try:
        return np.dtype(name)
    except TypeError:
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, name))
