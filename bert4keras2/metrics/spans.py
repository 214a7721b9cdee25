"""Measures of typed spans."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

__all__ = ["span_f1"]


def span_f1(true: Sequence[Collection[tuple]], predicted: Sequence[Collection[tuple]]) -> dict[str, Any]:
    """Return f1, precision and recall of (start, end, type) spans of all texts, and the same of each of the types."""
    if len(true) != len(predicted):
        raise ValueError(f"{len(predicted)} predictions for {len(true)} texts: give one for each")
    counts: dict[str, Counter] = {"right": Counter(), "true": Counter(), "predicted": Counter()}
    for a, b in zip(true, predicted, strict=True):
        a, b = set(map(tuple, a)), set(map(tuple, b))
        for name, spans in (("right", a & b), ("true", a), ("predicted", b)):
            counts[name].update(kind for _, _, kind in spans)
    kinds = sorted({*counts["true"], *counts["predicted"]}, key=str)
    types = {kind: _scores(*(counts[name][kind] for name in ("right", "true", "predicted"))) for kind in kinds}
    return {**_scores(*(sum(counts[name].values()) for name in ("right", "true", "predicted"))), "types": types}


def _scores(right: int, true: int, predicted: int) -> dict[str, float]:
    return {
        "f1": 2 * right / (true + predicted) if true + predicted else 0.0,
        "precision": right / predicted if predicted else 0.0,
        "recall": right / true if true else 0.0,
    }
