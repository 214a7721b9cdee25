"""Measures of classes: accuracy, macro F1, the correlation of Matthews, the confusion table."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from bert4keras2.metrics.checks import f1, same_number, values

__all__ = ["accuracy", "best_threshold", "confusion", "macro_f1", "matthews", "multilabel_f1"]


def accuracy(true: Sequence[Any] | np.ndarray, predicted: Sequence[Any] | np.ndarray) -> float:
    """Return the share of samples whose class was found, from 0 to 1.

    Args:
        true: N classes, texts or numbers.
        predicted: the N that were found.

    Raises:
        TypeError, ValueError: if the two cannot be compared.
    """
    right, found = values(true, predicted)
    return float(np.mean(right == found))


def best_threshold(true: Sequence[bool] | np.ndarray, scores: Sequence[float] | np.ndarray) -> float:
    """Return the threshold of scores that gives the highest F1: what is at least as high counts as found.

    Args:
        true: N times whether a sample is positive.
        scores: N numbers.

    Returns:
        A number between two neighbouring scores, the lowest of the best ones.

    Raises:
        TypeError, ValueError: if the two cannot be compared.
    """
    right, found = values(true, scores)
    order = np.argsort(-found, kind="stable")
    ordered, hits = found[order].astype("float64"), np.cumsum(right[order].astype(bool))
    ends = np.flatnonzero(np.append(ordered[:-1] != ordered[1:], True))  # equal scores are on one side
    figures = 2 * hits[ends] / (ends + 1 + max(hits[-1], 1))
    end = int(ends[len(figures) - 1 - int(np.argmax(figures[::-1]))])
    return float((ordered[end] + (ordered[end + 1] if end + 1 < len(ordered) else ordered[end])) / 2)


def confusion(
    true: Sequence[Any] | np.ndarray, predicted: Sequence[Any] | np.ndarray, labels: Sequence[Any] | np.ndarray
) -> np.ndarray:
    """Return how often each class was taken for each other one.

    Args:
        true: N classes.
        predicted: the N that were found.
        labels: C classes, in the order of the table.

    Returns:
        An array of int of shape (C, C): rows are true classes, columns predicted ones.

    Raises:
        TypeError, ValueError: if the two cannot be compared, or a class is not one of the labels.
    """
    right, found = values(true, predicted)
    index = {label: i for i, label in enumerate(labels)}
    for name, array in (("true", right), ("predicted", found)):
        unknown = sorted({str(label) for label in array.tolist() if label not in index})
        if unknown:
            raise ValueError(f"{name} holds classes that are not in labels: {', '.join(unknown[:5])}")
    table = np.zeros((len(index), len(index)), dtype=int)
    np.add.at(table, ([index[label] for label in right.tolist()], [index[label] for label in found.tolist()]), 1)
    return table


def macro_f1(
    true: Sequence[Any] | np.ndarray, predicted: Sequence[Any] | np.ndarray, labels: Sequence[Any] | None = None
) -> float:
    """Return the mean of the classes' F1, each counting the same however rare it is, from 0 to 1.

    Args:
        true: N classes.
        predicted: the N that were found.
        labels: the classes that count; by default those that occur in one of the two. One that occurs in neither
            counts as 0.

    Raises:
        TypeError, ValueError: if the two cannot be compared, or there are no labels.
    """
    right, found = values(true, predicted)
    if labels is None:
        labels = sorted({*right.tolist(), *found.tolist()}, key=lambda label: (str(type(label)), label))
    if not len(labels):
        raise ValueError("labels is empty: the mean of no classes")
    scores = [
        f1(np.sum((right == label) & (found == label)), np.sum(right == label), np.sum(found == label))
        for label in labels
    ]
    return float(np.mean(scores))


def matthews(true: Sequence[Any] | np.ndarray, predicted: Sequence[Any] | np.ndarray) -> float:
    """Return the correlation of true and predicted classes, from -1 to 1, of two classes or more.

    For two it is the coefficient of Matthews (1975), for more its form by Gorodkin (Computational Biology and
    Chemistry 28, 2004): the covariance of both as one-hot vectors over the roots of their variances. It is 0 where
    all samples have, or were given, one class.

    Args:
        true: N classes.
        predicted: the N that were found.

    Raises:
        TypeError, ValueError: if the two cannot be compared.
    """
    right, found = values(true, predicted)
    labels = sorted({*right.tolist(), *found.tolist()}, key=lambda label: (str(type(label)), label))
    table = confusion(right, found, labels).astype(float)
    rows, columns, number = table.sum(1), table.sum(0), table.sum()
    shared = np.trace(table) * number - rows @ columns
    spread = (number**2 - rows @ rows) * (number**2 - columns @ columns)
    return float(shared / np.sqrt(spread)) if spread else 0.0


def multilabel_f1(true: Sequence[Collection[str]], predicted: Sequence[Collection[str]]) -> float:
    """Return the F1 of all labels of all samples together (micro), from 0 to 1; 1 if there is nothing to find.

    Args:
        true: N collections of labels, some of them perhaps empty.
        predicted: the N collections that were found.

    Raises:
        TypeError: if a sample's labels are a text.
        ValueError: if the numbers differ, or there are none.
    """
    same_number(true, predicted)
    for labels in (*true, *predicted):
        if isinstance(labels, str):
            raise TypeError(f"the labels of a sample are a collection such as {{{labels!r}}}, not the text {labels!r}")
    pairs = [(set(a), set(b)) for a, b in zip(true, predicted, strict=True)]
    there, found = (sum(len(pair[i]) for pair in pairs) for i in (0, 1))
    return f1(sum(len(a & b) for a, b in pairs), there, found) if there + found else 1.0
