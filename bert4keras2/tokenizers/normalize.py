"""Text to words: lower case without accents, no control characters, ideographs and punctuation set apart.

`clean` is what the tokenizer does to a text; `clean_with_offsets` does the same and remembers where every character
came from; `piece_pattern` cuts the bulk of Chinese text without either.
"""

from __future__ import annotations

import functools
import re
import unicodedata

from bert4keras2.tokenizers.characters import (
    category,
    extra_lowercase,
    is_cjk_character,
    is_control,
    is_punctuation,
    is_space,
)

__all__ = ["clean", "clean_with_offsets", "is_isolated", "lowercase_and_strip", "piece_pattern", "plain_isolated"]

# A table filled by an adversary could otherwise hold every code point.
_TABLE_LIMIT = 1 << 17


class _SpacingTable(dict):
    """Code point -> replacement for `str.translate`, worked out when a character is first seen."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        if is_isolated(char):
            value = f" {char} "
        elif is_space(char):
            value = " "
        elif is_control(char):
            value = ""
        else:
            value = char
        if len(self) < _TABLE_LIMIT:
            self[code] = value
        return value


class _AccentTable(dict):
    """Code point -> itself, or nothing for a combining mark (Mn)."""

    def __missing__(self, code: int) -> str:
        value = "" if category(chr(code)) == "Mn" else chr(code)
        if len(self) < _TABLE_LIMIT:
            self[code] = value
        return value


_SPACING = _SpacingTable()
_ACCENTS = _AccentTable()
_EXTRA_LOWERCASE = extra_lowercase()


def is_isolated(char: str) -> bool:
    """Whether a character is always a word of its own (an ideograph or a punctuation mark).

    Args:
        char: one character.

    Returns:
        True if words end before it and start after it.
    """
    return is_cjk_character(char) or is_punctuation(char)


def _lower(text: str) -> str:
    text = text.lower()
    return text.translate(_EXTRA_LOWERCASE) if _EXTRA_LOWERCASE else text


def lowercase_and_strip(text: str) -> str:
    """Lower-cases a text, decomposes it canonically (NFD) and drops the combining marks.

    Args:
        text: any text.

    Returns:
        The text without case and accents, e.g. `'Élan'` -> `'elan'`.
    """
    text = _lower(text)
    return text if text.isascii() else unicodedata.normalize("NFD", text).translate(_ACCENTS)


def clean(text: str, lower: bool) -> list[str]:
    """Cuts a text into the words that WordPiece works on.

    Args:
        text: any text.
        lower: whether to lower-case and drop accents first.

    Returns:
        Words in order; ideographs and punctuation marks are words of one character.
    """
    if lower:
        text = lowercase_and_strip(text)
    return text.translate(_SPACING).split()


def clean_with_offsets(text: str, lower: bool) -> tuple[str, list[int]]:
    """The characters of `clean(text, lower)` without the gaps, and where each came from.

    Args:
        text: any text.
        lower: as in `clean`.

    Returns:
        The string `''.join(clean(text, lower))` and, for each of its characters, the index into `text`. An original
        character that becomes several (a Hangul syllable, say) is listed several times; one that vanishes, never.
    """
    pairs = _decompose(text) if lower else list(zip(text, range(len(text)), strict=True))
    kept = [(char, index) for char, index in pairs if not (is_control(char) or is_space(char) or char.isspace())]
    # Sorted: canonical ordering may swap two marks of one letter, but spans of tokens must not run backwards.
    return "".join(char for char, _ in kept), sorted(index for _, index in kept)


def _decompose(text: str) -> list[tuple[str, int]]:
    """`lowercase_and_strip` with the index of the original character beside every character that it leaves."""
    lowered = text.lower()  # of the whole text: whether sigma is final depends on its neighbours
    marks: list[tuple[str, int]] = []
    position = 0
    for index, char in enumerate(text):
        size = len(char.lower())
        piece = lowered[position : position + size].translate(_EXTRA_LOWERCASE)
        position += size
        marks.extend((part, index) for part in unicodedata.normalize("NFD", piece))
    # Canonical ordering sorts each run of non-starters by combining class; it matters for the few that are not Mn.
    start = 0
    while start < len(marks):
        end = start
        while end < len(marks) and unicodedata.combining(marks[end][0]):
            end += 1
        if end - start > 1:
            marks[start:end] = sorted(marks[start:end], key=lambda pair: unicodedata.combining(pair[0]))
        start = end + 1
    return [(char, index) for char, index in marks if category(char) != "Mn"]


@functools.lru_cache(maxsize=1)
def plain_isolated() -> str:
    """The isolated characters that need no table: each is one word and `lowercase_and_strip` leaves it alone.

    Returns:
        Ideographs of the basic plane and the ASCII, general, CJK and full-width punctuation marks, as one string.
    """
    blocks = ((0x21, 0x7F), (0xA1, 0xC0), (0x2010, 0x2060), (0x3001, 0x3030), (0xFF01, 0xFF66), (0x3400, 0x4DC0))
    chars = [chr(code) for first, last in (*blocks, (0x4E00, 0xA000)) for code in range(first, last)]
    return "".join(char for char in chars if is_isolated(char) and lowercase_and_strip(char) == char)


@functools.lru_cache(maxsize=1)
def piece_pattern() -> re.Pattern[str]:
    """Matches, from left to right, runs of `plain_isolated` characters and runs of anything else but common spaces.

    The cuts never change the words: isolated characters and spaces are where words end, and as starters they also
    stop canonical reordering. Only the final sigma looks further than its run.

    Returns:
        The compiled pattern, for `findall`.
    """
    chars = plain_isolated()
    # As ranges: the compiler of regular expressions is slow on classes of many single characters.
    firsts = [index for index, char in enumerate(chars) if index == 0 or ord(chars[index - 1]) != ord(char) - 1]
    lasts = [index - 1 for index in firsts[1:]] + [len(chars) - 1]
    isolated = "".join(
        f"{re.escape(chars[first])}-{re.escape(chars[last])}" for first, last in zip(firsts, lasts, strict=True)
    )
    return re.compile(f"[{isolated}]+|[^{isolated} \\t\\n\\r\\xa0\\u3000]+")
