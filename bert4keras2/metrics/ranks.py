"""Measures of numbers by their order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bert4keras2.metrics.checks import values

__all__ = ["spearman"]


def spearman(true: Sequence[float] | np.ndarray, predicted: Sequence[float] | np.ndarray) -> float:
    """Return Spearman's correlation of two rows of numbers: that of their ranks, from -1 to 1.

    Numbers that are equal have the mean of the ranks that they take together. Where one row is constant there is no
    order to compare: the result is nan.

    Args:
        true: N numbers.
        predicted: N numbers, in any scale.

    Raises:
        TypeError: if they are no numbers.
        ValueError: if their numbers differ, there are none, or one is nan.
    """
    rows = values(true, predicted)
    if any(row.dtype.kind not in "buif" for row in rows):
        raise TypeError("spearman compares numbers; true and predicted must hold nothing else")
    if any(np.isnan(row).any() for row in rows):
        raise ValueError("true or predicted holds nan, which has no rank")
    first, second = (_ranks(row) for row in rows)
    first, second = first - first.mean(), second - second.mean()
    spread = np.sqrt((first @ first) * (second @ second))
    # Rounding may leave 1 + 1e-16.
    return float(np.clip(first @ second / spread, -1, 1)) if spread else float("nan")


def _ranks(row: np.ndarray) -> np.ndarray:
    """Return the rank of each number, from 1 on; equal ones get the mean of their ranks."""
    _, place, counts = np.unique(row, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[place.reshape(-1)]
