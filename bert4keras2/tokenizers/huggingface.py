"""Tokenizer over a tokenizer.json of Hugging Face (GPT-2, RoBERTa, XLM-R, ...)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from bert4keras2.errors import CheckpointFormatError
from bert4keras2.tokenizers.base import TokenizerBase, check_text
from bert4keras2.tokenizers.detokenize import join_tokens
from bert4keras2.tokenizers.rematch import rematch_pieces
from bert4keras2.tokenizers.tokenizer_json import open_tokenizer

__all__ = ["HuggingFaceTokenizer"]

_FROM_FILE = "(as the file says)"
_SURROGATES = re.compile("[\ud800-\udfff]")
_BLANKS = {"bytes": "\u0120", "pieces": "\u2581"}  # how a blank is written in tokens


class HuggingFaceTokenizer(TokenizerBase):
    """Tokenizer over a tokenizer.json, or the vocab.json and merges.txt of GPT-2 and RoBERTa.

    Texts are cut by the package tokenizers, so that ids are those of Hugging Face's tokenizers; special tokens,
    truncation and padding are as in the other tokenizers here. The file, special_tokens_map.json and
    tokenizer_config.json beside it tell the special tokens; arguments win over them. The special tokens of the file
    stay whole in texts.

    Args:
        path: path of a tokenizer.json, of a vocab.json with merges.txt beside it, or of the folder that has them.
        token_start: token put before a text, or None.
        token_end: token put after a text, or None; generating with GPT-2 wants `'<|endoftext|>'`.
        token_pad: token that fills up batches, or None.
        token_unk: token that stands for unknown ones, or None.
        token_mask: token that hides others, or None.
        pre_tokenize: function from a text to its words, which are then cut one by one; `'jieba'` stands for
            `jieba_pre_tokenize()`.
        token_translate: token of the text -> token to use instead of it; `decode` translates back.
        never_split: tokens that stay whole where they occur literally in a text, besides those of the file.

    Raises:
        ImportError: the package tokenizers is not installed.
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or describes what is not supported, or a token is not in the vocabulary.
    """

    _missing_start_counts = False

    def __init__(
        self,
        path: str | os.PathLike,
        token_start: str | None = _FROM_FILE,
        token_end: str | None = _FROM_FILE,
        token_pad: str | None = _FROM_FILE,
        token_unk: str | None = _FROM_FILE,
        token_mask: str | None = _FROM_FILE,
        pre_tokenize: Callable[[str], Iterable[str]] | str | None = None,
        token_translate: Mapping[str, str] | None = None,
        never_split: Iterable[str] | None = None,
    ) -> None:
        opened = open_tokenizer(path, edges_known=_FROM_FILE not in (token_start, token_end))
        layout = opened.layout
        told = {"start": layout.start, "end": layout.end, **opened.tokens}
        given = {"start": token_start, "end": token_end, "pad": token_pad, "unk": token_unk, "mask": token_mask}
        given = {role: token for role, token in given.items() if token != _FROM_FILE}
        tokens = {**told, **given}
        super().__init__(tokens["start"], tokens["end"], pre_tokenize, token_translate, never_split)
        self._path = os.fspath(path)
        self._tokenizer = opened.tokenizer
        self._kind = opened.kind
        self._pattern, self._second_segment = layout.pattern, layout.second_segment
        self._token_pad, self._token_unk, self._token_mask = tokens["pad"], tokens["unk"], tokens["mask"]
        # Ids may have gaps; what counts is how many rows an embedding needs.
        self._vocab_size = max(self._tokenizer.get_vocab().values(), default=-1) + 1
        ids = {role: None if token is None else self._tokenizer.token_to_id(token) for role, token in tokens.items()}
        needed = {tokens["start"], tokens["end"], *given.values(), *self._never_split} - {None}
        missing = sorted(token for token in needed if self._tokenizer.token_to_id(token) is None)
        if missing:
            raise CheckpointFormatError(
                f"the vocabulary of {os.fspath(path)!r} lacks {', '.join(missing)}; name tokens that it has, or None "
                "for none"
            )
        for role, id in ids.items():
            if id is not None:
                setattr(self, f"_token_{role}_id", id)
        self._special = opened.special | {token for role, token in tokens.items() if token and role != "unk"}

    # ------------------------------------------------------------------ texts to tokens and ids

    def _encoding(self, text: str) -> Any:
        try:
            _refuse_surrogates([text])
            return self._tokenizer.encode(text, add_special_tokens=False)
        except Exception as error:  # the library raises no other class
            raise _not_encoded(text, self._path, error) from error

    def _is_plain(self) -> bool:
        """Whether texts go through the library alone, so that ids need no tokens."""
        own = type(self)._tokenize is not TokenizerBase._tokenize or "_tokenize" in self.__dict__
        own = own or type(self)._tokenize_plain is not HuggingFaceTokenizer._tokenize_plain
        return not (own or self._literals or self._pre_tokenize or self._token_translate)

    def _tokenize_plain(self, text: str) -> list[str]:
        words = [text] if self._pre_tokenize is None else self._pre_tokenize(text)
        return [token for word in words for token in self._tokens(self._encoding(word))]

    def _tokens(self, encoding: Any) -> list[str]:
        # Not encoding.tokens: a mask that takes the blank before it would have it in front there.
        return list(map(self._tokenizer.id_to_token, encoding.ids))

    def _body_ids(self, text: str) -> list[int]:
        return self._encoding(text).ids if self._is_plain() else super()._body_ids(text)

    def _bodies(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        if not self._is_plain():
            return super()._bodies(texts)
        # The fast one, of newer versions, works out no offsets.
        encode = getattr(self._tokenizer, "encode_batch_fast", self._tokenizer.encode_batch)
        try:
            _refuse_surrogates(texts)
            rows = [encoding.ids for encoding in encode(list(texts), add_special_tokens=False)]
        except Exception:
            rows = [self._encoding(text).ids for text in texts]  # says which text it is
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        return np.fromiter((id for row in rows for id in row), np.int32, int(lengths.sum())), lengths

    def token_to_id(self, token: str) -> int:
        """Id of a token.

        Args:
            token: a token.

        Returns:
            Its id, or that of the unknown token.

        Raises:
            ValueError: the vocabulary has neither the token nor an unknown token, as that of GPT-2.
        """
        id = self._tokenizer.token_to_id(token)
        if id is None:
            id = self.__dict__.get("_token_unk_id")
        if id is None:
            raise ValueError(f"{token!r} is not in the vocabulary, which has no token for unknown ones either")
        return id

    def id_to_token(self, id: int) -> str:
        """Token of an id.

        Args:
            id: a whole number, not negative.

        Returns:
            The token; `''` for ids without one, which models with a padded vocabulary may produce.

        Raises:
            ValueError: the id is negative.
        """
        if id < 0:
            raise ValueError(f"id {id!r} is negative; ids of this vocabulary are 0 to {self._vocab_size - 1}")
        return self._tokenizer.id_to_token(int(id)) or ""

    # ------------------------------------------------------------------ back to texts

    def decode(self, ids: Iterable[int] | None, tokens: Iterable[str] | None = None) -> str:
        """Text from ids or tokens.

        Args:
            ids: ids; ignored if `tokens` are given.
            tokens: tokens.

        Returns:
            The text without special tokens: exactly what was encoded for byte-level BPE (a character of which bytes
            are missing shows as U+FFFD), joined as `Tokenizer.decode` does for WordPiece.

        Raises:
            ValueError: an id is negative.
        """
        back = self._token_translate_inv
        pieces = [back.get(token) or token for token in (self.ids_to_tokens(ids) if tokens is None else tokens)]
        pieces = [piece for piece in pieces if piece and piece not in self._special]
        if self._kind == "words":
            return join_tokens(pieces)
        decoder = self._tokenizer.decoder
        return " ".join(pieces) if decoder is None else decoder.decode(pieces)

    def rematch(self, text: str, tokens: list[str]) -> list[list[int]]:
        """Where each token stands in the text.

        Args:
            text: the text that was tokenized.
            tokens: its tokens (what `tokenize` returned, also cut at either end).

        Returns:
            For every token the indices of its characters in `text`, ascending, without blanks; empty for special
            tokens around it. Where several tokens make up one character, as the bytes of an ideograph, each of them
            lists it. What the normalization of the file drops inside of a token counts as part of it.

        Raises:
            TypeError: `text` is not a str.
            ValueError: a token does not come from the text.
        """
        check_text(text, "text")
        return rematch_pieces(self, text, list(tokens))

    def _word_indices(self, word: str) -> list[tuple[str, list[int]]]:
        encoding = self._encoding(word)
        blank = _BLANKS.get(self._kind)
        result = []
        for token, (first, last) in zip(self._tokens(encoding), encoding.offsets, strict=True):
            # The blank that is put before a text gets the place of what follows it.
            is_blank = blank is not None and not token.strip(blank)
            result.append((token, [] if is_blank else [at for at in range(first, last) if not word[at].isspace()]))
        return result


def _refuse_surrogates(texts: Iterable[str]) -> None:
    """Raise for what older releases of the library take for other characters."""
    if any(map(_SURROGATES.search, texts)):
        raise ValueError("half of a surrogate pair")


def _not_encoded(text: str, path: str, error: Exception) -> ValueError:
    what = f"text {text!r:.60} cannot be cut into tokens"
    if _SURROGATES.search(text):
        return ValueError(f"{what}: it holds half of a surrogate pair: repair or drop it")
    return CheckpointFormatError(f"{what} by what {path} says: {error}")
