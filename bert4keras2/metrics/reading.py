"""Measures of answers that are read out of a text."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["reading_scores"]


def reading_scores(answers: Sequence[Sequence[str]], predicted: Sequence[str]) -> dict[str, float]:
    """Return em, the share of predictions that equal one of the answers, and f1 of their characters' overlap."""
    if len(answers) != len(predicted) or not len(answers):
        raise ValueError(f"{len(predicted)} predictions for {len(answers)} questions: give one for each")
    em = f1 = 0.0
    for known, found in zip(answers, predicted, strict=True):
        plain = ["".join(text.lower().split()) for text in (known or [""])]
        found = "".join(found.lower().split())
        em += found in plain
        f1 += max(_overlap(text, found) for text in plain)
    return {"em": em / len(answers), "f1": f1 / len(answers)}


def _overlap(a: str, b: str) -> float:
    if not a or not b:
        return float(a == b)
    longest, row = 0, [0] * (len(b) + 1)
    for x in a:
        row = [0, *(row[j] + 1 if x == y else 0 for j, y in enumerate(b))]
        longest = max(longest, *row)
    return 2 * longest / (len(a) + len(b))
