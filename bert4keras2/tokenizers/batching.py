"""Padded arrays from many texts without a Python loop over their tokens."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from bert4keras2.tokenizers.truncation import check_maxlen, check_pattern

__all__ = ["encode_batch", "ranges"]


def ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The integers `starts[i], ..., starts[i] + counts[i] - 1` for every i, one range after the other.

    Args:
        starts: (N,) first value of each range.
        counts: (N,) how many values each has.

    Returns:
        (sum of counts,) int64.
    """
    ends = np.cumsum(counts)
    shifts = starts - (ends - counts)
    return np.repeat(shifts, counts) + np.arange(ends[-1] if len(ends) else 0)


def _check_texts(texts: Any, name: str) -> list[str]:
    if isinstance(texts, (str, bytes)):
        raise TypeError(f"{name} is one {type(texts).__name__}; pass a list of texts")
    rows = list(texts)
    for index, text in enumerate(rows):
        if not isinstance(text, str):
            raise TypeError(f"{name}[{index}] must be a str, got {type(text).__name__} {text!r:.60}")
    return rows


def _pair_lengths(first: np.ndarray, second: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """`truncation.pair_lengths` for arrays."""
    shorter = np.minimum(first, second)
    halves = limit < 2 * shorter
    new_first = np.where(halves, limit // 2, np.where(first <= second, shorter, limit - shorter))
    fits = first + second <= limit
    new_second = np.where(fits, second, limit - new_first)
    return np.where(fits, first, new_first), new_second


def _width(longest: int, length: int | None, multiple: int) -> int:
    if operator.index(multiple) < 1:
        raise ValueError(f"multiple={multiple} must be at least 1")
    if length is None:
        length = longest
    elif longest > operator.index(length):
        raise ValueError(f"a row has {longest} ids, more than length={length}; pass maxlen={length} to cut it")
    return -(-length // multiple) * multiple


def encode_batch(
    tokenizer: Any,
    texts: Sequence[str],
    pairs: Sequence[str] | None,
    maxlen: int | None,
    pattern: str | None,
    truncate_from: str | int,
    length: int | None,
    multiple: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The work of `TokenizerBase.encode_batch`, which documents it.

    Args:
        tokenizer: the tokenizer.
        texts: see there.
        pairs: see there.
        maxlen: see there.
        pattern: see there.
        truncate_from: see there.
        length: see there.
        multiple: see there.

    Returns:
        ids and segment ids, int32 arrays (B, L).
    """
    texts = _check_texts(texts, "texts")
    if pattern is not None or pairs is not None:
        pattern = check_pattern(tokenizer._pattern if pattern is None else pattern)
    if pairs is not None:
        pairs = _check_texts(pairs, "pairs")
        if len(pairs) != len(texts):
            raise ValueError(f"{len(texts)} texts but {len(pairs)} pairs; each text needs its second text")
    pad = tokenizer.__dict__.get("_token_pad_id", 0)
    if truncate_from not in ("right", "left") or tokenizer._wraps_texts_itself():
        return _row_by_row(tokenizer, texts, pairs, maxlen, pattern, truncate_from, length, multiple, pad)

    start, end = tokenizer._token_start is not None, tokenizer._token_end is not None
    bodies = [tokenizer._bodies(texts)] + ([] if pairs is None else [tokenizer._bodies(pairs)])
    drop_start = pairs is not None and pattern == "S*E*E"
    # Which special token a text begins with, the one that is dropped later among them.
    openings = ["start" if start else None, "start" if start else None][: len(bodies)]
    if pairs is not None and pattern == "S*EE*E":
        openings[1] = "end" if end else None
    totals = [body[1] + (opening is not None) + end for body, opening in zip(bodies, openings, strict=True)]
    if maxlen is not None:
        specials = sum(opening is not None for opening in openings) + end * len(bodies)
        limit = check_maxlen(maxlen, specials - (drop_start and start))
        spare = drop_start and (start or tokenizer._missing_start_counts)
        if pairs is None:
            totals = [np.minimum(totals[0], limit)]
        else:
            totals = list(_pair_lengths(totals[0], totals[1], limit + spare))
    widths = [totals[0]] + ([] if pairs is None else [totals[1] - (drop_start and start)])
    rows = np.sum(widths, axis=0)
    columns = _width(int(rows.max(initial=0)), length, multiple)

    ids = np.full((len(texts), columns), pad, np.int32)
    flat_ids = ids.reshape(-1)
    row_starts = np.arange(len(texts)) * columns
    offsets = row_starts
    for part, ((flat, lengths), opening, total, width) in enumerate(zip(bodies, openings, totals, widths, strict=True)):
        kept = total - (opening is not None) - end
        sources = np.cumsum(lengths) - lengths
        if truncate_from == "left":
            sources = sources + lengths - kept
        opens = opening is not None and not (part and drop_start)
        if opens:
            flat_ids[offsets] = tokenizer._edge_id(opening)
        if end:
            flat_ids[offsets + width - 1] = tokenizer._edge_id("end")
        if len(flat) == kept.sum():
            flat_ids[ranges(offsets + opens, kept)] = flat
        else:
            flat_ids[ranges(offsets + opens, kept)] = flat[ranges(sources, kept)]
        offsets = offsets + width
    segments = np.zeros_like(ids)
    if pairs is not None:
        segments.reshape(-1)[ranges(row_starts + widths[0], widths[1])] = tokenizer._second_segment
    return ids, segments


def _row_by_row(
    tokenizer: Any,
    texts: list[str],
    pairs: list[str] | None,
    maxlen: int | None,
    pattern: str | None,
    truncate_from: str | int,
    length: int | None,
    multiple: int,
    pad: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The same for the rare cases: truncation at a position, a `tokenize` of the user's own."""
    seconds = [None] * len(texts) if pairs is None else pairs
    encoded = [
        tokenizer.encode(first, second, maxlen, pattern, truncate_from)
        for first, second in zip(texts, seconds, strict=True)
    ]
    columns = _width(max((len(row) for row, _ in encoded), default=0), length, multiple)
    ids = np.full((len(texts), columns), pad, np.int32)
    segments = np.zeros_like(ids)
    for index, (row, row_segments) in enumerate(encoded):
        ids[index, : len(row)] = row
        segments[index, : len(row)] = row_segments
    return ids, segments
