"""Filling rows with several texts: no padding to speak of, and no text sees another."""

from __future__ import annotations

import numpy as np

from bert4keras2.snippets.packing import pack

__all__ = ["cut_texts", "pack"]


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
