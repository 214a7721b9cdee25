"""The tokenizer of the first release: one token per character."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bert4keras2.tokenizers.characters import is_space
from bert4keras2.tokenizers.detokenize import is_special

__all__ = ["SimpleTokenizer"]


class SimpleTokenizer:
    """Takes each character of a text for a token; `Tokenizer` also knows words and numbers.

    Args:
        token_dict: token -> id; [CLS], [SEP], [UNK] and [unused1], which stands for white space, are among them.
    """

    def __init__(self, token_dict: Mapping[str, int]):
        self._token_dict = dict(token_dict)
        self._token_dict_inv = {id: token for token, id in self._token_dict.items()}

    def tokenize(self, text: str, add_cls: bool = True, add_sep: bool = True) -> list[str]:
        """Return the tokens of a text.

        Args:
            text: any text.
            add_cls, add_sep: put the start token before it, the end token after it.
        """
        known = self._token_dict
        body = [c if c in known else "[unused1]" if is_space(c) else "[UNK]" for c in text]
        return ["[CLS]"] * add_cls + body + ["[SEP]"] * add_sep

    def encode(
        self, first: str, second: str | None = None, first_length: int | None = None
    ) -> tuple[list[int], list[int]]:
        """Return ids and segment ids of a text or a pair.

        Args:
            first: a text.
            second: its partner, or None.
            first_length: pad the first text to so many characters besides its two special tokens.
        """
        ids = [self._token_dict[token] for token in self.tokenize(first)]
        ids += [0] * ((first_length or 0) + 2 - len(ids))
        segments = [0] * len(ids)
        if second is not None:
            more = [self._token_dict[token] for token in self.tokenize(second, add_cls=False)]
            ids, segments = ids + more, segments + [1] * len(more)
        return ids, segments

    def decode(self, token_ids: Iterable[int], join_str: str = "") -> str:
        """Return the text of ids; unknown ids and special tokens are left out.

        Args:
            token_ids: ids.
            join_str: what to put between characters.
        """
        tokens = [self._token_dict_inv.get(int(id), "") for id in token_ids]
        return join_str.join(" " if t == "[unused1]" else t for t in tokens if t == "[unused1]" or not is_special(t))
