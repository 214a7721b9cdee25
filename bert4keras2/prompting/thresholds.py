"""Classes by the order of scores: what NSP-BERT does where labels have no words (arXiv:2109.03564)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["Thresholds"]


class Thresholds:
    """Cuts scores into classes that rise with them.

    That classes have known shares is used as prior knowledge: it is part of the method.

    Args:
        values: C - 1 rising numbers.
        labels: C labels, that of the lowest scores first.

    Raises:
        ValueError: if their numbers do not fit, or the values fall.
    """

    def __init__(self, values: Sequence[float], labels: Sequence[Any]):
        self.values, self.labels = np.asarray(values, "float64"), list(labels)
        if len(self.values) != len(self.labels) - 1 or (np.diff(self.values) < 0).any():
            raise ValueError(f"{len(self.labels)} labels need {len(self.labels) - 1} rising thresholds, not {values!r}")

    @classmethod
    def fit(cls, scores: Any, labels: Sequence[Any], shares: Sequence[float] | None = None) -> Thresholds:
        """Return thresholds that cut scores into blocks of given sizes; what these are labelled with is not looked at.

        Args:
            scores: (N,) of texts, such as those of a development set.
            labels: C labels, that of the lowest scores first.
            shares: how many of the scores each class has; equally many if None, the rest being the last one's.

        Raises:
            ValueError: if there are fewer scores than labels, or the shares do not fit.
        """
        ordered = np.sort(np.asarray(scores, "float64").reshape(-1))
        count, classes = len(ordered), len(labels)
        if classes < 2 or count < classes:
            raise ValueError(f"thresholds cut at least two classes out of as many scores, not {classes} of {count}")
        if shares is None:
            ends = [(place + 1) * (count // classes) for place in range(classes - 1)]
        else:
            parts = np.asarray(shares, "float64")
            if len(parts) != classes or (parts < 0).any() or not parts.sum():
                raise ValueError(f"shares are {classes} numbers from 0 on, not {shares!r}")
            ends = [max(round(end * count), 1) for end in np.cumsum(parts / parts.sum())[:-1]]
        return cls([ordered[end - 1] for end in ends], labels)

    def predict(self, scores: Any) -> list[Any]:
        """Return the label of each score: the first whose threshold is above it, otherwise the last.

        The largest score of a block is its threshold, so that it belongs to the next class.
        """
        places = np.searchsorted(self.values, np.asarray(scores, "float64").reshape(-1), side="right")
        return [self.labels[place] for place in places]
