"""Strings: tests, conversions, splitting into pieces, and what two sequences have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

__all__ = [
    "convert_to_str",
    "convert_to_unicode",
    "is_one_of",
    "is_string",
    "longest_common_subsequence",
    "longest_common_substring",
    "strQ2B",
    "string_matching",
    "text_segmentate",
]

# The full-width forms of the printable ASCII characters, and the ideographic space.
_HALF_WIDTH = {0xFF00 + code - 0x20: code for code in range(0x21, 0x7F)} | {0x3000: 0x20}


def is_string(s: Any) -> bool:
    """Tell whether `s` is text (bytes are not)."""
    return isinstance(s, str)


def is_one_of(x: Any, ys: Iterable[Any]) -> bool:
    """Tell whether `x` is, as an object, one of `ys`; unlike `x in ys`, arrays and tensors are never compared."""
    return any(x is y for y in ys)


def string_matching(s: str, keywords: Iterable[str]) -> bool:
    """Tell whether one of the regular expressions `keywords` is found in `s` (case matters)."""
    return any(re.search(keyword, s) for keyword in keywords)


def strQ2B(ustring: str) -> str:
    """Return `ustring` with full-width ASCII forms and the ideographic space turned into plain ASCII."""
    return ustring.translate(_HALF_WIDTH)


def convert_to_unicode(text: Any, encoding: str = "utf-8", errors: str = "ignore") -> Any:
    """Return `text` decoded if it is bytes, and unchanged otherwise."""
    return text.decode(encoding, errors) if isinstance(text, bytes) else text


def convert_to_str(text: Any, encoding: str = "utf-8", errors: str = "ignore") -> Any:
    """Return `text` decoded if it is bytes, and unchanged otherwise (on Python 3 a str is Unicode)."""
    return convert_to_unicode(text, encoding, errors)


def text_segmentate(text: str, maxlen: int, seps: str = "\n", strips: str | None = None) -> list[str]:
    """Split a text into pieces of about `maxlen` characters, at the first separator that does it.

    Each piece is split at `seps[0]`; neighbours that fit together stay together; what is still too long is split at
    `seps[1]`, and so on. Without separators left, a long piece stays long.

    Args:
        text: the text.
        maxlen: the wanted length in characters.
        seps: separators, one character each, from the most to the least welcome.
        strips: characters removed from both ends of each piece; None means white space.

    Returns:
        The pieces, in order; separators stay at the end of their piece unless `strips` removes them.
    """
    text = text.strip().strip(strips)
    if len(text) <= maxlen or not seps:
        return [text]
    *inner, last = text.split(seps[0])
    chunks: list[str] = []
    chunk = ""
    for unit, tail in [*((unit, seps[0]) for unit in inner), (last, "")]:
        if chunk and unit and len(chunk) + len(unit) >= maxlen:
            chunks.append(chunk)
            chunk = ""
        chunk += unit + tail
    if chunk:
        chunks.append(chunk)
    return [piece for chunk in chunks for piece in text_segmentate(chunk, maxlen, seps[1:], strips)]


def _codes(source: Sequence[Any], target: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Number the items of both sequences so that equal items have equal numbers."""
    table: dict[Any, int] = {}
    both = [[table.setdefault(item, len(table)) for item in sequence] for sequence in (source, target)]
    return np.array(both[0], "int64"), np.array(both[1], "int64")


def longest_common_substring(source: Sequence[Any], target: Sequence[Any]) -> tuple[int, tuple[int, int, int, int]]:
    """Find the longest run of items that two sequences share; of several, the one that ends first in `source`.

    Args:
        source, target: strings, or sequences of hashable items.

    Returns:
        (length, (l1, r1, l2, r2)) with `source[l1:r1] == target[l2:r2]`; (0, (0, 0, 0, 0)) if nothing is shared.
    """
    left, right = _codes(source, target)
    runs = np.zeros(len(right) + 1, "int64")  # runs[j]: length of the common run that ends before target[j]
    best, span = 0, (0, 0, 0, 0)
    for i, code in enumerate(left, 1):
        runs[1:] = np.where(right == code, runs[:-1] + 1, 0)
        j = int(runs.argmax())
        if runs[j] > best:
            best = int(runs[j])
            span = (i - best, i, j - best, j)
    return best, span


def longest_common_subsequence(source: Sequence[Any], target: Sequence[Any]) -> tuple[int, list[tuple[int, int]]]:
    """Find the longest sequence of items that two sequences share in order, gaps allowed.

    Args:
        source, target: strings, or sequences of hashable items.

    Returns:
        (length, [(i, j), ...]) with `source[i] == target[j]` and both indices growing.
    """
    left, right = _codes(source, target)
    # lengths[i, j]: length of the answer for source[:i] and target[:j]
    lengths = np.zeros((len(left) + 1, len(right) + 1), "int32")
    for i, code in enumerate(left):
        extended = np.where(right == code, lengths[i, :-1] + 1, lengths[i, 1:])
        np.maximum.accumulate(extended, out=lengths[i + 1, 1:])
    pairs: list[tuple[int, int]] = []
    i, j = len(left), len(right)
    while i and j:
        if left[i - 1] == right[j - 1]:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif lengths[i - 1, j] >= lengths[i, j - 1]:
            i -= 1
        else:
            j -= 1
    return len(pairs), pairs[::-1]
