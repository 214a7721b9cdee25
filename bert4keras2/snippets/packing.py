"""Which items share a row of a fixed length, so that little of it stays empty."""

from __future__ import annotations

import bisect
from collections.abc import Iterator

import numpy as np

__all__ = ["pack"]

# So many items are laid out together, the long ones first; so many rows are open at a time.
WINDOW, OPEN_ROWS = 8192, 8192


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
