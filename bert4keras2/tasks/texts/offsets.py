"""Where tokens stand in a text, and which tokens a span of characters is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from bert4keras2.tokenizers import Tokenizer

__all__ = ["TokenOffsets"]

# Characters of which WordPiece makes a token each, wherever they stand.
_SINGLE = re.compile("[\u4e00-\u9fff，。、！？；：“”‘’（）《》【】…·]*")


class TokenOffsets:
    """The tokens of a text with their places in it.

    Args:
        tokenizer: the tokenizer.
        text: the text.
        maxlen: longest sequence of tokens, special ones included; None for all.
        prefix: what is put before the text and belongs to no span.
        special: with the special tokens around the text.

    Attributes:
        ids: the ids of the tokens.
        spans: (start, end) of each token in the text, the end exclusive; None of special tokens and the prefix.
    """

    def __init__(self, tokenizer: Any, text: str, maxlen: int | None = None, prefix: str = "", special: bool = True):
        skip, whole = len(prefix), prefix + text
        starts, ends = int(tokenizer._token_start is not None), int(tokenizer._token_end is not None)
        self.spans: list[tuple[int, int] | None]
        if _is_plain(tokenizer) and _SINGLE.fullmatch(whole):
            # Most Chinese texts: no need to look for each token.
            size = len(whole) if maxlen is None else min(len(whole), maxlen - starts - ends)
            tokens = list(whole[:size])
            self.spans = [None if at < skip else (at - skip, at + 1 - skip) for at in range(size)]
            if special:
                tokens = [tokenizer._token_start] * starts + tokens + [tokenizer._token_end] * ends
                self.spans = [None] * starts + self.spans + [None] * ends
        else:
            tokens = tokenizer.tokenize(whole, maxlen=maxlen)
            if not special:
                tokens = tokens[starts : len(tokens) - ends]
            self.spans = [
                (indices[0] - skip, indices[-1] + 1 - skip) if indices and indices[0] >= skip else None
                for indices in tokenizer.rematch(whole, tokens)
            ]
        self.ids = tokenizer.tokens_to_ids(tokens)

    def tokens_of(self, spans: Sequence[tuple[int, int, str]]) -> list[tuple[int, int, str] | None]:
        """Return (first token, last token, type) of (start, end, type) spans of characters.

        None stands for those whose ends are no ends of tokens, or that lie behind the longest sequence.
        """
        starts = {span[0]: place for place, span in reversed(list(enumerate(self.spans))) if span is not None}
        ends = {span[1]: place for place, span in enumerate(self.spans) if span is not None}
        return [
            (starts[start], ends[end], kind) if start in starts and end in ends and starts[start] <= ends[end] else None
            for start, end, kind in spans
        ]

    def characters(self, first: int, last: int) -> tuple[int, int] | None:
        """Return (start, end) in the text of the tokens from first to last; None if one of the two is a special one."""
        if last >= len(self.spans) or self.spans[first] is None or self.spans[last] is None:
            return None
        start, end = self.spans[first][0], self.spans[last][1]
        return (start, end) if start < end else None


def _is_plain(tokenizer: Any) -> bool:
    """Whether a tokenizer is WordPiece's, without anything that cuts texts otherwise."""
    return (
        type(tokenizer) is Tokenizer
        and tokenizer._pre_tokenize is None
        and tokenizer._literals is None
        and not tokenizer._token_translate
        and not tokenizer._wraps_texts_itself()
    )
