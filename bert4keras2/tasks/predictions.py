"""What `TextClassifier` says of texts, and how all tasks' answers are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["LabelPrediction", "LabelsPrediction", "NumberPrediction", "answer_record"]


@dataclass(frozen=True, slots=True)
class LabelPrediction:
    """The label of a text.

    Attributes:
        label: the most probable one.
        probability: its probability.
        probabilities: {label: probability} of all.
    """

    label: str
    probability: float
    _labels: Sequence[str] = field(repr=False)
    _row: np.ndarray = field(repr=False, compare=False)

    @property
    def probabilities(self) -> dict[str, float]:
        """Return {label: probability} of all labels."""
        return dict(zip(self._labels, map(float, self._row), strict=True))

    def as_dict(self) -> dict[str, Any]:
        """Return label and probability, as they are written to files."""
        return {"label": self.label, "probability": round(self.probability, 6)}


@dataclass(frozen=True, slots=True)
class LabelsPrediction:
    """The labels of a text that may have several.

    Attributes:
        labels: those whose probability is above the threshold, the most probable one first.
        probabilities: {label: probability} of all.
    """

    labels: tuple[str, ...]
    _labels: Sequence[str] = field(repr=False)
    _row: np.ndarray = field(repr=False, compare=False)

    @property
    def probabilities(self) -> dict[str, float]:
        """Return {label: probability} of all labels."""
        return dict(zip(self._labels, map(float, self._row), strict=True))

    def as_dict(self) -> dict[str, Any]:
        """Return the labels with their probabilities, as they are written to files."""
        found = self.probabilities
        return {"labels": list(self.labels), "probabilities": [round(found[label], 6) for label in self.labels]}


@dataclass(frozen=True, slots=True)
class NumberPrediction:
    """The number of a text.

    Attributes:
        value: the number.
    """

    value: float

    def as_dict(self) -> dict[str, Any]:
        """Return the number, as it is written to files."""
        return {"value": round(self.value, 6)}


def answer_record(found: Any) -> dict[str, Any]:
    """Return what a task says of a row, as it is written to files.

    Args:
        found: an answer of `predict`; a list of them, as of a tagger, stands under "entities".
    """
    return {"entities": [entity.as_dict() for entity in found]} if isinstance(found, list) else found.as_dict()
