"""How long sequences of one text or a pair become when they are too long, and which tokens go."""

from __future__ import annotations

import operator
from typing import Any

__all__ = ["PATTERNS", "check_maxlen", "check_pattern", "cut", "cut_index", "pair_lengths"]

# Shapes of a pair: S start token, * text, E end token. BERT leaves out the second start token, RoBERTa puts a second
# end token in its place.
PATTERNS = ("S*E*E", "S*ESE", "S*EE*E")


def check_pattern(pattern: str) -> str:
    """Returns the pattern if it is known.

    Args:
        pattern: `'S*E*E'`, `'S*ESE'` or `'S*EE*E'`.

    Returns:
        The same.

    Raises:
        ValueError: it is another one.
    """
    if pattern not in PATTERNS:
        raise ValueError(f"pattern={pattern!r} is unknown; use one of {', '.join(map(repr, PATTERNS))}")
    return pattern


def check_maxlen(maxlen: Any, specials: int) -> int:
    """Returns the length limit as an int if the special tokens alone fit.

    Args:
        maxlen: the limit.
        specials: number of special tokens that every sequence has.

    Returns:
        The limit.

    Raises:
        TypeError: it is not a whole number.
        ValueError: it is too small.
    """
    try:
        limit = operator.index(maxlen)
    except TypeError:
        raise TypeError(f"maxlen={maxlen!r} is not a whole number; pass an int, or None for no limit") from None
    if limit < max(specials, 1):
        raise ValueError(f"maxlen={limit} leaves no room: the {specials} special tokens alone need more; raise maxlen")
    return limit


def cut_index(truncate_from: str | int, has_start: bool, has_end: bool) -> int:
    """Position at which tokens are taken out, as in `list.pop`.

    Args:
        truncate_from: `'right'` (the last text token first), `'left'` (the first text token first) or a position.
        has_start: whether a start token precedes the text.
        has_end: whether an end token follows it.

    Returns:
        The index.

    Raises:
        ValueError: `truncate_from` is neither of these.
    """
    if truncate_from == "right":
        return -1 - int(has_end)
    if truncate_from == "left":
        return int(has_start)
    try:
        return operator.index(truncate_from)
    except TypeError:
        raise ValueError(f"truncate_from={truncate_from!r} is unknown; use 'right', 'left' or an int index") from None


def cut(sequence: list, length: int, index: int) -> list:
    """What is left of a list after `pop(index)` until it has the given length.

    Args:
        sequence: the list; it is not changed.
        length: wanted length.
        index: where elements are taken out; negative ones count from the end.

    Returns:
        The list itself if it is short enough, else a shorter copy.

    Raises:
        ValueError: the sequence becomes too short to have an element at `index`.
    """
    excess = len(sequence) - length
    if excess <= 0:
        return sequence
    if length < (index if index >= 0 else -index - 1):
        raise ValueError(
            f"truncate_from={index} points outside a sequence of {length + 1} tokens while it is cut "
            f"to {length}; use an index nearer to the ends, or a larger maxlen"
        )
    start = index if index >= 0 else len(sequence) + index + 1 - excess
    return sequence[:start] + sequence[start + excess :]


def pair_lengths(first: int, second: int, limit: int) -> tuple[int, int]:
    """Lengths of two sequences after taking tokens from the longer one (the first if equal) until both fit.

    Args:
        first: length of the first sequence.
        second: length of the second.
        limit: what they may have together.

    Returns:
        The two lengths.
    """
    if first + second <= limit:
        return first, second
    shorter = min(first, second)
    if limit < 2 * shorter:
        return limit // 2, limit - limit // 2
    return (shorter, limit - shorter) if first <= second else (limit - shorter, shorter)
