"""Measures of spans in texts, such as entities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from bert4keras2.metrics.checks import f1, same_number

__all__ = ["span_f1"]

Span = tuple[int, int, str]


def span_f1(true: Sequence[Collection[Span]], predicted: Sequence[Collection[Span]]) -> dict[str, Any]:
    """Return precision, recall and F1 of spans; one is found if start, end and type are exact.

    All spans of all texts count together (micro); a span that is given twice counts once. Where there is nothing to
    divide by, the figure is 0; with no spans anywhere, all three are 1.

    Args:
        true: for each of N texts its spans (start, end, type).
        predicted: for each text those that were found.

    Returns:
        {"f1", "precision", "recall", "types": {type: {"f1", "precision", "recall", "support"}}}: figures from 0 to 1,
        support is the number of true spans of a type. Types are in alphabetical order.

    Raises:
        ValueError: if the numbers of texts differ, or there are none, or a span is no (start, end, type).
    """
    same_number(true, predicted)
    there: Counter[str] = Counter()
    found: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for number, (given, guessed) in enumerate(zip(true, predicted, strict=True)):
        a, b = (_spans(spans, number) for spans in (given, guessed))
        for counter, spans in ((there, a), (found, b), (right, a & b)):
            counter.update(kind for _, _, kind in spans)
    types = {
        kind: {**_scores(right[kind], there[kind], found[kind]), "support": there[kind]}
        for kind in sorted({*there, *found})
    }
    return {**_scores(sum(right.values()), sum(there.values()), sum(found.values())), "types": types}


def _spans(spans: Collection[Span], number: int) -> set[Span]:
    try:
        return {(int(start), int(end), kind) for start, end, kind in spans}
    except (TypeError, ValueError) as error:
        raise ValueError(f"the spans of text {number} are to be (start, end, type), but are {spans!r}") from error


def _scores(right: int, there: int, found: int) -> dict[str, float]:
    if not there and not found:
        return {"f1": 1.0, "precision": 1.0, "recall": 1.0}
    return {
        "f1": f1(right, there, found),
        "precision": right / found if found else 0.0,
        "recall": right / there if there else 0.0,
    }
