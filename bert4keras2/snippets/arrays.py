"""Small NumPy helpers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["orthogonally_resize", "softmax", "to_array"]


def to_array(*args: Any) -> np.ndarray | list[np.ndarray]:
    """Return each argument as a NumPy array: the array itself for one argument, a list of them for several."""
    arrays = [np.array(arg) for arg in args]
    return arrays[0] if len(arrays) == 1 else arrays


def softmax(x: Any, axis: int = -1) -> np.ndarray:
    """Return exp(x) normalised to sum 1 along `axis`; entries of -inf get 0."""
    x = np.asarray(x)
    exponentials = np.exp(x - x.max(axis=axis, keepdims=True))
    return exponentials / exponentials.sum(axis=axis, keepdims=True)


def orthogonally_resize(a: Any, new_shape: Sequence[int], window: int = 2) -> np.ndarray:
    """Resize a weight array so that orthogonal rows stay nearly orthogonal and the norm stays the same.

    An axis shrinks by cutting. It grows by repeating each group of `window` neighbours as a whole, then cutting;
    keeping pairs together is what rotary positions need.

    Args:
        a: an array.
        new_shape: the wanted shape, of the same rank.
        window: how many neighbours are repeated together; it divides each axis that grows.

    Returns:
        An array of shape `new_shape` with the Euclidean norm of `a`.

    Raises:
        ValueError: if the ranks differ or `window` does not divide a growing axis.

    Source: https://kexue.fm/archives/8444
    """
    a = np.asarray(a)
    if a.ndim != len(new_shape):
        raise ValueError(f"new_shape must have the rank of the array: {tuple(new_shape)} for an array of {a.shape}")
    resized = a
    for axis, (old, new) in enumerate(zip(a.shape, new_shape, strict=True)):
        if new > old and (old == 0 or old % window):
            raise ValueError(f"Axis {axis} grows from {old} to {new}, so window={window} must divide {old}")
        copies = -(-new // old) if new > old else 1
        positions = np.arange(new)
        if copies > 1:
            positions = positions // (window * copies) * window + positions % window
        resized = np.take(resized, positions, axis=axis)
    norm = np.linalg.norm(resized)
    return resized if norm == 0 else resized / norm * np.linalg.norm(a)
