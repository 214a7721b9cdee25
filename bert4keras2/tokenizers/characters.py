"""What a character is to the tokenizer: space, control, punctuation, ideograph or part of a word.

The classes follow the WordPiece tokenizer of BERT (Devlin et al., 2019, https://arxiv.org/abs/1810.04805) and use
the general categories of Unicode 14.0 on every Python version, so that the ids of a text never depend on the
interpreter: where `unicodedata` is older or newer than 14.0, the few characters that matter are looked up here.
"""

from __future__ import annotations

import unicodedata

__all__ = ["category", "extra_lowercase", "is_cjk_character", "is_control", "is_punctuation", "is_space"]

# (first, last) code points, inclusive, of the blocks that are written without spaces and cut into single characters.
_CJK_BLOCKS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)

# Characters that Unicode 14.0 added to 13.0 (Python 3.10) in a category that changes the tokens.
_ADDED_IN_14 = {
    "Cf": ((0x890, 0x891),),
    "Po": (
        (0x61D, 0x61D), (0x1B7D, 0x1B7E), (0x2E53, 0x2E54), (0x10F86, 0x10F89), (0x116B9, 0x116B9), (0x12FF1, 0x12FF2),
    ),
    "Ps": ((0x2E55, 0x2E55), (0x2E57, 0x2E57), (0x2E59, 0x2E59), (0x2E5B, 0x2E5B)),
    "Pe": ((0x2E56, 0x2E56), (0x2E58, 0x2E58), (0x2E5A, 0x2E5A), (0x2E5C, 0x2E5C)),
    "Pd": ((0x2E5D, 0x2E5D),),
    "Mc": ((0x1734, 0x1734),),
    "Mn": (
        (0x898, 0x89F), (0x8CA, 0x8D2), (0xC3C, 0xC3C), (0x180F, 0x180F), (0x1AC1, 0x1ACE), (0x1DFA, 0x1DFA),
        (0x10F82, 0x10F85), (0x11070, 0x11070), (0x11073, 0x11074), (0x110C2, 0x110C2), (0x1CF00, 0x1CF2D),
        (0x1CF30, 0x1CF46), (0x1E2AE, 0x1E2AE),
    ),
}  # fmt: skip

# Characters that later versions (15.0 and 15.1, Python 3.12 and 3.13) moved from "unassigned" into such a category.
_UNASSIGNED_IN_14 = (
    (0xECE, 0xECE), (0x10EFD, 0x10EFF), (0x11241, 0x11241), (0x11B00, 0x11B09), (0x11F00, 0x11F01), (0x11F36, 0x11F3A),
    (0x11F40, 0x11F40), (0x11F42, 0x11F4F), (0x13439, 0x13440), (0x13447, 0x13455), (0x1E08F, 0x1E08F),
    (0x1E4EC, 0x1E4EF),
)  # fmt: skip

# Lower case of the letters that 14.0 added: (first, last, distance to the lower-case letter).
_LOWERCASE_ADDED_IN_14 = (
    (0x2C2F, 0x2C2F, 0x30), (0xA7C0, 0xA7C0, 1), (0xA7D0, 0xA7D0, 1), (0xA7D6, 0xA7D6, 1), (0xA7D8, 0xA7D8, 1),
    (0x10570, 0x1057A, 0x27), (0x1057C, 0x1058A, 0x27), (0x1058C, 0x10592, 0x27), (0x10594, 0x10595, 0x27),
)  # fmt: skip


def _build_overrides() -> dict[int, str]:
    """Categories of Unicode 14.0 where this interpreter's `unicodedata` has others."""
    version = tuple(int(part) for part in unicodedata.unidata_version.split("."))
    if version < (14,):
        return {
            code: name
            for name, ranges in _ADDED_IN_14.items()
            for first, last in ranges
            for code in range(first, last + 1)
        }
    return {code: "Cn" for first, last in _UNASSIGNED_IN_14 for code in range(first, last + 1)}


_OVERRIDES = _build_overrides()


def category(char: str) -> str:
    """General category of one character in Unicode 14.0, e.g. `'Lo'`.

    Args:
        char: one character.

    Returns:
        The two-letter category; unassigned code points are `'Cn'`.
    """
    return _OVERRIDES.get(ord(char)) or unicodedata.category(char)


def is_space(char: str) -> bool:
    """Whether the character separates words: blank, tab, line ends and every space separator (Zs).

    Args:
        char: one character.

    Returns:
        True for a separator.
    """
    return char in " \t\n\r" or category(char) == "Zs"


def is_control(char: str) -> bool:
    """Whether the character is removed before words are cut: control (Cc) and format (Cf) characters, U+FFFD.

    Args:
        char: one character.

    Returns:
        True for a character that leaves no trace; tab and line ends are spaces, not controls.
    """
    return char == "\ufffd" or (char not in "\t\n\r" and category(char) in ("Cc", "Cf"))


def is_punctuation(char: str) -> bool:
    """Whether the character is a token of its own as a punctuation mark.

    Args:
        char: one character.

    Returns:
        True for the ASCII characters that are neither letters, digits, blank nor control, and for the categories P*.
    """
    code = ord(char)
    if code < 128:
        return 32 < code < 127 and not char.isalnum()
    return category(char)[0] == "P"


def is_cjk_character(char: str) -> bool:
    """Whether the character is a Chinese ideograph, which is a token of its own.

    Args:
        char: one character.

    Returns:
        True inside the CJK ideograph blocks; kana, Hangul and full-width letters are not ideographs.
    """
    code = ord(char)
    return code >= 0x3400 and any(first <= code <= last for first, last in _CJK_BLOCKS)


def extra_lowercase() -> dict[int, int]:
    """Lower-case pairs of Unicode 14.0 that this interpreter's `str.lower` does not know, for `str.translate`.

    Returns:
        Upper to lower code points; empty from Python 3.11 on.
    """
    return {
        code: code + distance
        for first, last, distance in _LOWERCASE_ADDED_IN_14
        for code in range(first, last + 1)
        if chr(code).lower() == chr(code)
    }
