"""Where tokens stand in a text, and which tokens a span of characters is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

__all__ = ["TokenOffsets"]


class TokenOffsets:
    """The tokens of a text with their places in it.

    Args:
        tokenizer: the tokenizer.
        text: the text.
        maxlen: longest sequence of tokens, special ones included; None for all.
        prefix: what is put before the text and belongs to no span.
        special: with the special tokens around the text.

    Attributes:
        spans: (start, end) of each token in the text, the end exclusive; None of special tokens and the prefix.
    """

    def __init__(self, tokenizer: Any, text: str, maxlen: int | None = None, prefix: str = "", special: bool = True):
        skip, whole = len(prefix), prefix + text
        starts, ends = int(tokenizer._token_start is not None), int(tokenizer._token_end is not None)
        self._tokenizer, self._tokens = tokenizer, tokenizer.tokenize(whole, maxlen=maxlen)
        if tokenizer._wraps_texts_itself():  # nobody but rematch knows what it puts where
            found = [
                (indices[0], indices[-1] + 1) if indices else None for indices in tokenizer.rematch(whole, self._tokens)
            ]
        else:
            body = tokenizer._body_spans(whole)[: len(self._tokens) - starts - ends]
            found = [None] * starts + body + [None] * ends
        if not special:
            inner = slice(starts, len(self._tokens) - ends)
            self._tokens, found = self._tokens[inner], found[inner]
        self.spans: list[tuple[int, int] | None] = [
            (span[0] - skip, span[1] - skip) if span is not None and span[0] >= skip else None for span in found
        ]

    @cached_property
    def ids(self) -> list[int]:
        """The ids of the tokens."""
        return self._tokenizer.tokens_to_ids(self._tokens)

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
