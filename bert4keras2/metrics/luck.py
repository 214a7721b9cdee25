"""How good a score on few rows has to be to mean something."""

from __future__ import annotations

from math import comb

from bert4keras2.arguments import at_least

__all__ = ["reached_by_luck"]


def reached_by_luck(share: float, rows: int, tries: int = 1, level: float = 0.05) -> float:
    """Return the least accuracy that guesses reach less often than `level`, by the binomial distribution.

    Args:
        share: of the rows that a guess gets right, such as 0.5 for two classes of the same size.
        rows: how many there are.
        tries: of which the best is taken, such as the epochs of which one is kept (bounded as if they were
            independent, which they are less than).
        level: the probability.

    Returns:
        An accuracy from 0 to 1; 1 if even all rows right may be luck.

    Raises:
        ValueError: for a number out of range.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must be in [0, 1], not {share!r}")
    rows, tries = at_least("rows", rows, 1), at_least("tries", tries, 1)
    tail = 0.0
    for right in range(rows, -1, -1):  # from the end of the distribution on
        tail += comb(rows, right) * share**right * (1 - share) ** (rows - right)
        if tail * tries >= level:
            return min(right + 1, rows) / rows
    return 0.0
