"""Spans as tags of tokens and back: BIO, BIOES, BMES and their like."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

__all__ = ["TagScheme", "bio_tags", "forward_backward", "viterbi"]

# First letters of tags: where in a span its token stands. M is I's name in BMES, L and U are E and S in BILOU.
_TAG = re.compile(r"([BIMESLU])[-_](.+)", re.DOTALL)
_SAME = {"M": "I", "L": "E", "U": "S"}


def bio_tags(types: Sequence[str]) -> list[str]:
    """Return the tags "O", "B-" and "I-" of each type."""
    return ["O", *(f"{place}-{kind}" for kind in types for place in "BI")]


class TagScheme:
    """What tags say of spans.

    Args:
        tags: names of all tags by their numbers, such as "O", "B-name", "I-name"; a tag without a letter and a hyphen
            is a type itself, of which neighbouring tokens make up one span.

    Attributes:
        types: the types of spans, sorted.
    """

    def __init__(self, tags: Sequence[str]):
        self.tags = list(tags)
        # (place in the span, type) of each tag; ("O", "") outside of all.
        self._parts: list[tuple[str, str]] = []
        for tag in self.tags:
            match = _TAG.fullmatch(tag)
            if match:
                self._parts.append((_SAME.get(match[1], match[1]), match[2]))
            else:
                self._parts.append(("O", "") if tag.upper() in ("O", "LABEL_0") else ("I", tag))
        self.types = sorted({kind for _, kind in self._parts if kind})
        self._numbers = {part: number for number, part in reversed(list(enumerate(self._parts)))}

    def encode(self, spans: Sequence[tuple[int, int, str]], length: int) -> np.ndarray:
        """Return the numbers of the tags of tokens.

        Args:
            spans: (first token, last token, type); of those that overlap, the longest one counts.
            length: how many tokens there are.

        Returns:
            (length,) int32.
        """
        found = np.full(length, self._numbers.get(("O", ""), 0), "int32")
        taken = np.zeros(length, bool)
        for first, last, kind in sorted(spans, key=lambda span: (span[0] - span[1], span)):
            if taken[first : last + 1].any():
                continue
            taken[first : last + 1] = True
            for place in range(first, last + 1):
                wanted = "S" if first == last else "B" if place == first else "E" if place == last else "I"
                # A scheme that has no tag for the place has one for the next less precise.
                choices = {"S": "SBIE", "B": "BI", "E": "EI", "I": "IB"}[wanted]
                found[place] = next(self._numbers[x, kind] for x in choices if (x, kind) in self._numbers)
        return found

    def decode(self, numbers: Sequence[int]) -> list[tuple[int, int, str]]:
        """Return (first token, last token, type) of the spans that tags stand for.

        A span without its beginning is one all the same, as conlleval has it.
        """
        spans: list[tuple[int, int, str]] = []
        start, current = -1, ""
        for place, number in enumerate(numbers):
            where, kind = self._parts[number]
            if start >= 0 and (where in "OBS" or kind != current):
                spans.append((start, place - 1, current))
                start = -1
            if where != "O" and start < 0:
                start, current = place, kind
            if where in "ES":
                spans.append((start, place, current))
                start = -1
        if start >= 0:
            spans.append((start, len(numbers) - 1, current))
        return spans


def viterbi(scores: np.ndarray, lengths: np.ndarray, trans: np.ndarray) -> np.ndarray:
    """Return the best sequence of labels of each row (Viterbi, 1967), all rows at once.

    Args:
        scores: (B, T, C) of each label at each position.
        lengths: (B,) positions that count, from the first on.
        trans: (C, C), the score of label j after label i at [i, j].

    Returns:
        (B, T) int64; what stands behind a row's length means nothing.
    """
    rows, size, labels = scores.shape
    steps, trans = _steps(scores, lengths, "float32"), trans.astype("float32")
    best, totals = np.empty_like(steps), np.empty((labels, rows, labels), "float32")
    best[0] = steps[0]
    for place in range(1, size):
        np.add(best[place - 1].T[..., None], trans[:, None], out=totals)  # (from, row, to)
        np.add(totals.max(0, out=best[place]), steps[place], out=best[place])
    # From which label the best one was reached is asked on the way back, of that one alone.
    found, last = np.zeros((rows, size), "int64"), np.asarray(lengths) - 1
    found[np.arange(rows), last] = best[last, np.arange(rows)].argmax(-1)
    back = np.ascontiguousarray(trans.T)
    for place in range(size - 1, 0, -1):
        before = (best[place - 1] + back[found[:, place]]).argmax(-1)
        found[:, place - 1] = np.where(place <= last, before, found[:, place - 1])
    return found


def forward_backward(scores: np.ndarray, lengths: np.ndarray, trans: np.ndarray) -> np.ndarray:
    """Return the probability of each label at each position of a conditional random field (Rabiner, 1989).

    Args:
        scores, lengths, trans: as for `viterbi`.

    Returns:
        (B, T, C) float64; what stands behind a row's length means nothing.
    """
    lengths = np.asarray(lengths)
    # Weights are scaled at each position, so that products of many stay numbers.
    weights = _steps(scores, lengths, "float64")
    weights = np.exp(weights - weights.max(-1, keepdims=True))
    between = np.exp(trans - np.max(trans))
    forward, backward = np.empty_like(weights), np.ones_like(weights)
    forward[0] = weights[0]
    _scale(forward[0])
    for place in range(1, len(weights)):
        np.matmul(forward[place - 1], between, out=forward[place])
        forward[place] *= weights[place]
        _scale(forward[place])
    back = np.ascontiguousarray(between.T)
    for place in range(len(weights) - 2, -1, -1):
        np.matmul(backward[place + 1] * weights[place + 1], back, out=backward[place])
        _scale(backward[place])
        backward[place, lengths <= place + 1] = 1
    forward *= backward
    _scale(forward)
    return forward.transpose(1, 0, 2)


def _scale(weights: np.ndarray) -> None:
    """Let weights sum to 1 along the last axis."""
    weights /= np.maximum(weights.sum(-1, keepdims=True), 1e-300)


def _steps(scores: np.ndarray, lengths: np.ndarray, dtype: str) -> np.ndarray:
    """Return (T, B, C) scores, 0 behind the end of rows, where layers may have -inf."""
    inside = np.arange(scores.shape[1]) < np.asarray(lengths)[:, None]
    return np.where(inside[..., None], scores, 0).transpose(1, 0, 2).astype(dtype, order="C")
