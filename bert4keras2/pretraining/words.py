"""Where words and sentences begin among the tokens of a text: what whole-word masking and cutting go by."""

from __future__ import annotations

import logging
import re
from typing import Any

import numpy as np

__all__ = ["CONTINUES", "SENTENCE", "WORD", "Annotator"]

# Bits of a token's flags.
WORD = 1  # the first token of a word
SENTENCE = 2  # the first token of a sentence
CONTINUES = 4  # the first token of a text that says the same as the text before it

SENTENCE_ENDS = re.compile(r"(?<=[。！？!?；;…\n])(?![。！？!?；;…\n”’」』）)\"'])")


class Annotator:
    """Turns texts into ids and flags.

    Args:
        tokenizer: a tokenizer of bert4keras2.tokenizers.
        words: "jieba", whose words tokens belong to by their place in the text; or "tokens": each is a word.

    Raises:
        ValueError: for other `words`.
    """

    def __init__(self, tokenizer: Any, words: str = "jieba"):
        if words not in ("jieba", "tokens"):
            raise ValueError(f"words is 'jieba' or 'tokens', not {words!r}")
        self.tokenizer, self.words = tokenizer, words

    def __call__(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Return ids (N,) int32 without special tokens, and flags (N,) uint8, sums of WORD and SENTENCE."""
        ids, flags = [], []
        for sentence in SENTENCE_ENDS.split(text):
            tokens = self.tokenizer._body_tokens(sentence)
            if not tokens:
                continue
            starts = self._starts(sentence, tokens)
            starts[0] = WORD | SENTENCE
            ids += self.tokenizer.tokens_to_ids(tokens)
            flags += starts
        return np.array(ids, np.int32), np.array(flags, np.uint8)

    def _starts(self, text: str, tokens: list[str]) -> list[int]:
        inside = set() if self.words == "tokens" else _inside_words(text)
        if not inside:
            return [WORD] * len(tokens)
        # A token counts by the first of its characters; one without any (unknown to the text) is a word of its own.
        places = (indices[0] if indices else -1 for indices in self.tokenizer.rematch(text, tokens))
        return [0 if place in inside else WORD for place in places]


def _inside_words(text: str) -> set[int]:
    """Return the places of all characters that are not the first of their word, as jieba cuts words."""
    import jieba

    jieba.setLogLevel(logging.WARNING)
    found, start = set(), 0
    for word in jieba.cut(text):
        if len(word) > 1 and not word.isspace():
            found.update(range(start + 1, start + len(word)))
        start += len(word)
    return found
