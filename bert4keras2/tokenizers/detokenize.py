"""Tokens back to readable text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bert4keras2.tokenizers.characters import is_cjk_character, is_punctuation
from bert4keras2.tokenizers.vocabulary import stem

__all__ = ["is_special", "join_tokens"]

# (first, last) code points of the marks that Chinese typography writes without a blank after them.
_CHINESE_MARKS = (
    (0xB7, 0xB7), (0x2013, 0x2014), (0x2018, 0x2019), (0x201B, 0x201F), (0x2026, 0x2027), (0x3000, 0x3003),
    (0x3008, 0x3011), (0x3014, 0x301F), (0x3030, 0x3030), (0x303E, 0x303F), (0xFE4F, 0xFE4F), (0xFE51, 0xFE51),
    (0xFE54, 0xFE54), (0xFF01, 0xFF0D), (0xFF0F, 0xFF0F), (0xFF1A, 0xFF20), (0xFF3B, 0xFF40), (0xFF5B, 0xFF64),
)  # fmt: skip

_BLANKS = re.compile(" +")
# Blanks that the joining below leaves and that nobody writes: in it's, after an opening mark, within 3.14 (of a chain
# of numbers every second one only: a digit that closed one number opens no other).
_IN_CONTRACTION = re.compile(r"(?<=') (?=(?:d|ll|m|re|s|t|ve) )")
_AFTER_OPENING = re.compile(r"(?<=[-+/=(<\[{]) ")
_DECIMAL = re.compile(r"(\d\.) (\d)")


def is_special(token: str) -> bool:
    """Whether a token stands in square brackets, like `[CLS]`, and so is not text.

    Args:
        token: a token.

    Returns:
        True for `[CLS]`, `[unused1]`, ...
    """
    return len(token) > 1 and token[0] == "[" and token[-1] == "]"


def _is_chinese(char: str) -> bool:
    """Whether no blank follows the character: an ideograph or a Chinese punctuation mark."""
    return is_cjk_character(char) or any(first <= ord(char) <= last for first, last in _CHINESE_MARKS)


def join_tokens(tokens: Iterable[str]) -> str:
    """Joins WordPiece tokens: no blanks beside ideographs or inside words, one after a Western punctuation mark.

    Args:
        tokens: tokens; special ones are skipped.

    Returns:
        The text; what WordPiece did not keep (case, accents, the exact spaces) is guessed or lost.
    """
    parts: list[str] = []
    after_chinese = False
    for token in tokens:
        if is_special(token):
            continue
        single = len(token) == 1
        inside_word = token.startswith("##")
        ideograph = single and is_cjk_character(token)
        mark = single and not ideograph and is_punctuation(token)
        is_word = not (inside_word or ideograph or mark)
        written = stem(token) if inside_word else token
        before = " " if is_word and not after_chinese else ""
        behind = " " if mark and not _is_chinese(token) else ""
        parts.append(f"{before}{written}{behind}")
        if parts[-1]:
            after_chinese = _is_chinese(parts[-1][-1])
    text = _BLANKS.sub(" ", "".join(parts))
    for pattern in (_IN_CONTRACTION, _AFTER_OPENING):
        text = pattern.sub("", text)
    return _DECIMAL.sub(r"\1\2", text).strip()
