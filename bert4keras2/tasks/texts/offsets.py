"""Where tokens stand in a text, and which tokens a span of characters is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from bert4keras2.tokenizers.truncation import check_maxlen

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
        self._tokenizer, self._whole, self._maxlen = tokenizer, whole, maxlen
        self._edges = (0, 0) if special else (starts, ends)
        if tokenizer._wraps_texts_itself():  # nobody but rematch knows what it puts where
            found = tokenizer._token_spans(whole, self._tokens)
        else:
            found = tokenizer._body_spans(whole)
            if maxlen is not None:
                found = found[: check_maxlen(maxlen, starts + ends) - starts - ends]
            found = [None] * starts + found + [None] * ends if special else found
        self.spans: list[tuple[int, int] | None] = [
            (span[0] - skip, span[1] - skip) if span is not None and span[0] >= skip else None for span in found
        ]

    @cached_property
    def _tokens(self) -> list[str]:
        tokens = self._tokenizer.tokenize(self._whole, maxlen=self._maxlen)
        return tokens[self._edges[0] : len(tokens) - self._edges[1]]

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
