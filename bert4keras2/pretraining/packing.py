"""Filling rows with several texts: no padding to speak of, and no text sees another."""

from __future__ import annotations

import bisect

import numpy as np

__all__ = ["cut_texts", "pack"]

# So many rows are open at a time: a text goes to the one that it fills best.
OPEN_ROWS = 256


def cut_texts(lengths: np.ndarray, longest: int, shortest: int = 1) -> np.ndarray:
    """Cut texts into pieces of equal size, no longer than allowed; no token is left out.

    Args:
        lengths: (M,) tokens of each text.
        longest: tokens of a piece at most.
        shortest: texts with fewer tokens are left out.

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
    text = np.repeat(texts, counts)
    count, size = np.repeat(counts, counts), np.repeat(sizes, counts)
    index = np.arange(len(text)) - np.repeat(np.cumsum(counts) - counts, counts)
    # Pieces differ by one token at most: a text of 130 is cut into 65 and 65, not into 126 and a rest of 4.
    start, end = index * size // count, (index + 1) * size // count
    return np.stack([text, start, end - start], 1)


def pack(sizes: np.ndarray, row_length: int) -> list[list[int]]:
    """Put items into rows: each into the open row that has the least room that is still enough (best fit).

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
    for item, size in enumerate(sizes.tolist()):
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
