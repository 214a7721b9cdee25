"""Measures of generated texts."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["exact_match", "rouge_l"]


def _checked(predictions: Sequence[str], references: Sequence[str]) -> None:
    if isinstance(predictions, str) or isinstance(references, str):
        raise TypeError("predictions and references are lists of str")
    if len(predictions) != len(references) or not len(references):
        raise ValueError(f"{len(predictions)} predictions for {len(references)} references: give one for each")


def exact_match(predictions: Sequence[str], references: Sequence[str]) -> float:
    """Return the share of predictions that equal their reference, from 0 to 1.

    Args:
        predictions: N texts.
        references: their N references.

    Raises:
        TypeError: if one of them is a str.
        ValueError: if their numbers differ, or there are none.
    """
    _checked(predictions, references)
    return sum(a == b for a, b in zip(predictions, references, strict=True)) / len(references)


def rouge_l(predictions: Sequence[str], references: Sequence[str]) -> float:
    """Return the mean ROUGE-L of texts by characters, in lower case, from 0 to 1 (Lin, aclanthology.org/W04-1013).

    It is the harmonic mean of precision and recall of the longest common subsequence; blanks do not count, and an
    empty prediction scores 0.

    Args:
        predictions: N texts.
        references: their N references.

    Raises:
        TypeError: if one of them is a str.
        ValueError: if their numbers differ, or there are none.
    """
    _checked(predictions, references)
    total = 0.0
    for prediction, reference in zip(predictions, references, strict=True):
        a, b = ("".join(text.lower().split()) for text in (prediction, reference))
        total += 2 * _common(a, b) / (len(a) + len(b)) if a and b else 0.0
    return total / len(references)


def _common(a: str, b: str) -> int:
    """Return the length of the longest common subsequence."""
    row = [0] * (len(b) + 1)
    for x in a:
        before = 0
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], before + 1 if x == y else max(row[j], row[j - 1])
    return row[-1]
