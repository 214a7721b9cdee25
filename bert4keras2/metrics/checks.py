"""Checks that what is compared belongs together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["f1", "same_number", "values"]


def same_number(true: Sequence[Any] | np.ndarray, predicted: Sequence[Any] | np.ndarray) -> int:
    """Return how many samples there are.

    Raises:
        TypeError: if one of the two is a text, which is no list of samples.
        ValueError: if their numbers differ, or there are none.
    """
    if isinstance(true, str | bytes) or isinstance(predicted, str | bytes):
        raise TypeError("true and predicted are lists with one entry for each sample, not texts")
    if len(true) != len(predicted) or not len(true):
        raise ValueError(f"{len(predicted)} predictions for {len(true)} samples: give one for each, and at least one")
    return len(true)


def values(true: Sequence[Any] | np.ndarray, predicted: Sequence[Any] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both as arrays of shape (N,), one class or number for each sample.

    Raises:
        TypeError: if one holds texts and the other numbers, which are never equal.
        ValueError: if their numbers differ, there are none, or one of them is a table, such as probabilities.
    """
    same_number(true, predicted)
    arrays = np.asarray(true), np.asarray(predicted)
    for name, array in zip(("true", "predicted"), arrays, strict=True):
        if array.ndim != 1:
            raise ValueError(
                f"{name} has the shape {array.shape}: give one class for each sample, such as .argmax(axis=-1) of"
                " probabilities"
            )
    texts = [array.dtype.kind in "US" for array in arrays]
    if texts[0] != texts[1] and "O" not in (arrays[0].dtype.kind, arrays[1].dtype.kind):
        kinds = ["texts" if text else "numbers" for text in texts]
        raise TypeError(f"true holds {kinds[0]} and predicted holds {kinds[1]}: they would never be equal")
    return arrays


def f1(right: float, true: float, predicted: float) -> float:
    """Return the harmonic mean of precision and recall, 0 where nothing is right.

    Args:
        right: how many were found rightly; true: how many there are; predicted: how many were found.
    """
    return 2 * right / (true + predicted) if right else 0.0
