"""Filling rows with several texts: no padding to speak of, and no text sees another."""

from __future__ import annotations

import bisect
from collections.abc import Iterator

import numpy as np

__all__ = ["cut_texts", "pack"]

# So many items are laid out together, the long ones first; so many rows are open at a time.
WINDOW, OPEN_ROWS = 8192, 8192


def cut_texts(lengths: np.ndarray, longest: int, shortest: int = 1, even: bool = False) -> np.ndarray:
    """Cut texts into pieces no longer than allowed; no token is left out.

    Args:
        lengths: (M,) tokens of each text.
        longest: tokens of a piece at most.
        shortest: texts with fewer tokens are left out.
        even: all pieces of a text have nearly one size, as for rows with one piece each; otherwise all but the last
            are as long as allowed, and a last one of less than a quarter takes half of the one before.

    Returns:
        (P, 3) int64: text, first token, number of tokens.

    Raises:
        ValueError: if `longest` is not positive.
    """
    if longest < 1:
        raise ValueError(f"rows are too short: {longest} tokens are left for a text beside the special ones")
    texts = np.flatnonzero(lengths >= max(shortest, 1))
    sizes = lengths[texts]
    counts = -(-sizes // longest)
    text, count, size = (np.repeat(part, counts) for part in (texts, counts, sizes))
    index = np.arange(len(text)) - np.repeat(np.cumsum(counts) - counts, counts)
    if even:
        bounds = [i * size // count for i in (index, index + 1)]
    else:
        rest = size - (count - 1) * longest
        shared = np.where(4 * rest < longest, (longest + rest) // 2, rest)  # what the last piece gets
        last = np.where(count > 1, size - shared, 0)  # where it begins
        bounds = [np.where(i == count, size, np.where(i == count - 1, last, i * longest)) for i in (index, index + 1)]
    start, end = bounds
    return np.stack([text, start, end - start], 1)


def pack(sizes: np.ndarray, row_length: int) -> list[list[int]]:
    """Put items into rows: each into the open row that has the least room that is still enough (best fit decreasing).

    Args:
        sizes: (N,) positions that each item takes, special tokens included, in the order in which they come.
        row_length: positions of a row.

    Returns:
        The items of each row; each item is in one row. The order depends on `sizes` alone.

    Raises:
        ValueError: if an item is longer than a row.
    """
    if len(sizes) and sizes.max() > row_length:
        raise ValueError(f"an item of {sizes.max()} positions does not fit into a row of {row_length}")
    rows: list[list[int]] = []
    open_rows: list[tuple[int, int]] = []  # (room, row), sorted
    for item, size in _long_ones_first(sizes):
        place = bisect.bisect_left(open_rows, (size, -1))
        if place < len(open_rows):
            room, row = open_rows.pop(place)
        else:
            room, row = row_length, len(rows)
            rows.append([])
            if len(open_rows) >= OPEN_ROWS:
                open_rows.pop(0)  # the fullest one
        rows[row].append(item)
        if room > size:
            bisect.insort(open_rows, (room - size, row))
    return rows


def _long_ones_first(sizes: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield (item, size), window by window."""
    for start in range(0, len(sizes), WINDOW):
        order = start + np.argsort(-sizes[start : start + WINDOW], kind="stable")
        yield from zip(order.tolist(), sizes[order].tolist(), strict=True)
