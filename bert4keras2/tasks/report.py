"""What an evaluation came to: figures by name, and a text to print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bert4keras2.metrics import confusion

__all__ = ["Report", "confusion_text", "label_table"]


@dataclass(frozen=True)
class Report:
    """What an evaluation came to; `print(report)` shows all of it.

    Attributes:
        metrics: figures by name; the first is the task's own measure, by which the best epoch is kept.
        rows: how many rows were looked at.
        details: further lines of the text.
        true: of classifiers, the label of each row, for `pictures.confusion_matrix`; otherwise empty.
        predicted: of classifiers, what was found for each row; otherwise empty.
    """

    metrics: dict[str, float]
    rows: int
    details: str = field(default="", repr=False)
    true: Sequence[str] = field(default=(), repr=False)
    predicted: Sequence[str] = field(default=(), repr=False)

    @property
    def score(self) -> float:
        """The task's own measure."""
        return next(iter(self.metrics.values()))

    @property
    def text(self) -> str:
        """All of it in words."""
        figures = "  ".join(f"{name} {value:.4f}" for name, value in self.metrics.items())
        return f"{figures}  ({self.rows:,} rows)" + (f"\n\n{self.details}" if self.details else "")

    def __str__(self) -> str:
        return self.text


def label_table(scores: dict[str, dict[str, float]], counts: dict[str, int]) -> str:
    """Return a table of precision, recall and F1 for each label.

    Args:
        scores: {label: {"precision", "recall", "f1"}}.
        counts: how often each label occurs.
    """
    width = max(map(_columns, scores), default=0)
    lines = [f"{'':<{width}}  precision  recall      f1    rows"]
    for label, found in scores.items():
        figures = f"{found['precision']:9.4f}  {found['recall']:6.4f}  {found['f1']:6.4f}  {counts.get(label, 0):6d}"
        lines.append(f"{label}{' ' * (width - _columns(label))}  {figures}")
    return "\n".join(lines)


def confusion_text(true: Sequence[str], predicted: Sequence[str], labels: Sequence[str], most: int = 12) -> str:
    """Return what was taken for what: the whole table for few labels, otherwise the pairs that occur most often."""
    table = confusion(true, predicted, labels)
    if len(labels) <= most:
        widths = [max(_columns(label), len(str(table[:, i].max()))) for i, label in enumerate(labels)]
        first = max(_columns(label) for label in labels)
        rows = [" " * first + "".join(f"  {' ' * (w - _columns(x))}{x}" for w, x in zip(widths, labels, strict=True))]
        for label, counts in zip(labels, table, strict=True):
            cells = "".join(f"  {count:{w}d}" for w, count in zip(widths, counts, strict=True))
            rows.append(f"{label}{' ' * (first - _columns(label))}{cells}")
        return "rows: the label, columns: what was predicted\n" + "\n".join(rows)
    wrong = table * (1 - np.eye(len(labels), dtype="int64"))
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [(*np.unravel_index(place, wrong.shape), wrong.flat[place]) for place in order if wrong.flat[place]]
    return "most often taken for another:\n" + "\n".join(
        f"{count:6d}  {labels[a]} as {labels[b]}" for a, b, count in pairs
    )


def _columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: ideographs take two."""
    return sum(2 if character >= "\u1100" else 1 for character in text)
