"""Measures of labels and numbers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

__all__ = ["accuracy", "confusion", "macro_f1", "matthews", "multilabel_f1", "spearman"]


def _checked(true: Sequence[Any], predicted: Sequence[Any]) -> None:
    if len(true) != len(predicted) or not len(true):
        raise ValueError(f"{len(predicted)} predictions for {len(true)} labels: give one for each, and at least one")


def accuracy(true: Sequence[Any], predicted: Sequence[Any]) -> float:
    """Return the share of predictions that are right."""
    _checked(true, predicted)
    return sum(a == b for a, b in zip(true, predicted, strict=True)) / len(true)


def confusion(true: Sequence[Any], predicted: Sequence[Any], labels: Sequence[Any]) -> np.ndarray:
    """Return how often a label (row) was taken for another (column), int64 (len(labels), len(labels))."""
    _checked(true, predicted)
    place = {label: index for index, label in enumerate(labels)}
    found = np.zeros((len(place), len(place)), "int64")
    for a, b in zip(true, predicted, strict=True):
        if a not in place or b not in place:
            raise ValueError(f"label {a if a not in place else b!r} is none of the {len(place)} labels")
        found[place[a], place[b]] += 1
    return found


def macro_f1(true: Sequence[Any], predicted: Sequence[Any], labels: Sequence[Any] | None = None) -> float:
    """Return the mean of the labels' F1; a label that neither occurs nor is predicted scores 0."""
    labels = sorted({*true, *predicted}, key=str) if labels is None else labels
    table = confusion(true, predicted, labels)
    total = table.sum(0) + table.sum(1)
    return float(np.mean(np.divide(2 * np.diag(table), total, out=np.zeros(len(table)), where=total > 0)))


def matthews(true: Sequence[Any], predicted: Sequence[Any]) -> float:
    """Return Matthews' correlation of labels, of any number of classes (Gorodkin, 2004); 0 where it is not defined."""
    table = confusion(true, predicted, sorted({*true, *predicted}, key=str)).astype("float64")
    t, p, total = table.sum(1), table.sum(0), table.sum()
    root = np.sqrt((total**2 - p @ p) * (total**2 - t @ t))
    return float((np.trace(table) * total - t @ p) / root) if root else 0.0


def spearman(true: Sequence[float], predicted: Sequence[float]) -> float:
    """Return the correlation of ranks; equal values share their mean rank; 0 if one side is constant."""
    _checked(true, predicted)
    a, b = _ranks(np.asarray(true, "float64")), _ranks(np.asarray(predicted, "float64"))
    a, b = a - a.mean(), b - b.mean()
    root = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / root) if root else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def multilabel_f1(true: Sequence[Collection[str]], predicted: Sequence[Collection[str]]) -> float:
    """Return F1 of all (row, label) pairs together."""
    _checked(true, predicted)
    right = sum(len(set(a) & set(b)) for a, b in zip(true, predicted, strict=True))
    total = sum(len(set(a)) + len(set(b)) for a, b in zip(true, predicted, strict=True))
    return 2 * right / total if total else 1.0
