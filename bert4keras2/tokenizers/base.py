"""What the tokenizers share: special tokens, encoding of texts and pairs, truncation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from bert4keras2.old_names import current_arguments
from bert4keras2.tokenizers.batching import encode_batch
from bert4keras2.tokenizers.pre_tokenize import jieba_pre_tokenize
from bert4keras2.tokenizers.truncation import check_maxlen, check_pattern, cut, cut_index, pair_lengths

__all__ = ["TokenizerBase", "check_text"]

_ROLES = {"pad": "padding", "unk": "unknown", "mask": "mask", "start": "start", "end": "end"}
_ID_ATTRIBUTE = re.compile(f"_token_({'|'.join(_ROLES)})_id$")


def check_text(text: Any, name: str) -> None:
    """Raises TypeError unless the argument called `name` is a str.

    Args:
        text: what was passed.
        name: what to call it in the message.

    Raises:
        TypeError: it is not a str.
    """
    if not isinstance(text, str):
        hint = "; decode it first, e.g. text.decode('utf-8')" if isinstance(text, bytes) else ""
        raise TypeError(f"{name} must be a str, got {type(text).__name__} {text!r:.60}{hint}")


class TokenizerBase:
    """Encoding in terms of three things that a subclass supplies: `_tokenize_plain`, `token_to_id`, `id_to_token`.

    Args:
        token_start: token put before a text, or None.
        token_end: token put after a text, or None.
        pre_tokenize: function from a text to its words, applied first; `'jieba'` stands for `jieba_pre_tokenize()`.
        token_translate: token of the text -> token to use instead of it.
        never_split: tokens that stay whole where they occur literally in a text, e.g. `['[MASK]']`.
    """

    _token_pad = "[PAD]"
    _token_unk = "[UNK]"
    _token_mask = "[MASK]"
    _pattern = "S*E*E"  # the shape of a pair where the caller names none
    _second_segment = 1  # the segment id of a second text; 0 for models with one segment
    # bert4keras allows a pair for the start token that its shape drops, even where there is no start token.
    _missing_start_counts = True

    def __init__(
        self,
        token_start: str | None = "[CLS]",
        token_end: str | None = "[SEP]",
        pre_tokenize: Callable[[str], Iterable[str]] | str | None = None,
        token_translate: Mapping[str, str] | None = None,
        never_split: Iterable[str] | None = None,
    ) -> None:
        if isinstance(pre_tokenize, str):
            if pre_tokenize != "jieba":
                raise ValueError(f"pre_tokenize={pre_tokenize!r} is unknown; use 'jieba' or pass a function")
            pre_tokenize = jieba_pre_tokenize()
        if isinstance(never_split, str):
            raise TypeError(f"never_split={never_split!r} is one string; pass a list of tokens: [{never_split!r}]")
        self._token_start = token_start
        self._token_end = token_end
        self._pre_tokenize = pre_tokenize
        self._token_translate = dict(token_translate or {})
        self._token_translate_inv = {new: old for old, new in self._token_translate.items()}
        self._never_split = tuple(sorted({token for token in never_split or () if token}, key=len, reverse=True))
        choices = "|".join(map(re.escape, self._never_split))
        self._literals = re.compile(f"({choices})") if choices else None

    # ------------------------------------------------------------------ ids of the special tokens

    def __getattr__(self, name: str) -> Any:
        # Reached only when normal lookup fails: say which token is missing instead of naming an attribute.
        match = _ID_ATTRIBUTE.match(name)
        if match is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        token = self.__dict__.get(f"_token_{match[1]}", getattr(type(self), f"_token_{match[1]}", None))
        why = "was switched off with None" if token is None else f"{token!r} is not in the vocabulary"
        raise AttributeError(f"{name}: the {_ROLES[match[1]]} token {why}")

    def _special_id(self, role: str) -> int:
        value = self.__dict__.get(f"_token_{role}_id")
        if value is None:
            token = getattr(self, f"_token_{role}", None)
            why = "was switched off with None" if token is None else f"{token!r} is not in the vocabulary"
            raise ValueError(f"this tokenizer has no {_ROLES[role]} token: it {why}")
        return value

    def _edge_id(self, role: str) -> int:
        """Return the id of the token before or after a text; one that the vocabulary lacks is unknown to it."""
        value = self.__dict__.get(f"_token_{role}_id")
        return self.token_to_id(getattr(self, f"_token_{role}")) if value is None else value

    @property
    def vocab_size(self) -> int:
        """Number of tokens."""
        return self._vocab_size

    @property
    def pad_id(self) -> int:
        """Id of the padding token; ValueError if there is none."""
        return self._special_id("pad")

    @property
    def unk_id(self) -> int:
        """Id that stands for tokens outside the vocabulary; ValueError if there is none."""
        return self._special_id("unk")

    @property
    def mask_id(self) -> int:
        """Id of the mask token; ValueError if there is none."""
        return self._special_id("mask")

    @property
    def start_id(self) -> int:
        """Id of the token before a text; ValueError if there is none."""
        return self._special_id("start")

    @property
    def end_id(self) -> int:
        """Id of the token after a text; ValueError if there is none."""
        return self._special_id("end")

    # ------------------------------------------------------------------ what a subclass supplies

    def _tokenize_plain(self, text: str) -> list[str]:
        raise NotImplementedError

    def token_to_id(self, token: str) -> int:
        """Id of a token, that of the unknown token if it has none."""
        raise NotImplementedError

    def id_to_token(self, id: int) -> str:
        """Token of an id."""
        raise NotImplementedError

    # ------------------------------------------------------------------ texts to tokens and ids

    def tokens_to_ids(self, tokens: Iterable[str]) -> list[int]:
        """Ids of tokens.

        Args:
            tokens: tokens.

        Returns:
            One id per token; unknown tokens have the id of the unknown token.
        """
        return [self.token_to_id(token) for token in tokens]

    def ids_to_tokens(self, ids: Iterable[int]) -> list[str]:
        """Tokens of ids.

        Args:
            ids: ids; whole numbers of any kind.

        Returns:
            One token per id.

        Raises:
            ValueError: an id is outside the vocabulary.
        """
        return [self.id_to_token(id) for id in ids]

    def _tokenize(self, text: str) -> list[str]:
        """Tokens of a text without special tokens and before translation; the place for subclasses to step in."""
        if self._literals is None:
            return self._tokenize_plain(text)
        tokens: list[str] = []
        for index, part in enumerate(self._literals.split(text)):
            if index % 2:
                tokens.append(part)
            elif part:
                tokens.extend(self._tokenize_plain(part))
        return tokens

    def _body_tokens(self, text: str) -> list[str]:
        tokens = self._tokenize(text)
        if self._token_translate:
            translate = self._token_translate
            return [translate.get(token) or token for token in tokens]
        return tokens

    def _body_ids(self, text: str) -> list[int]:
        """Ids of a text without special tokens."""
        return self.tokens_to_ids(self._body_tokens(text))

    def _body_spans(self, text: str) -> list[tuple[int, int] | None]:
        """Start and end in the text of each of its `_body_tokens`; None of one that stands for no character."""
        return self._token_spans(text, self._body_tokens(text))

    def _token_spans(self, text: str, tokens: list[str]) -> list[tuple[int, int] | None]:
        """Start and end in the text of tokens that `tokenize` made of it; None of one that stands for no character."""
        found = self.rematch(text, tokens)
        return [(indices[0], indices[-1] + 1) if indices else None for indices in found]

    def _bodies(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """`_body_ids` of many texts: all ids one after the other, and how many each text has."""
        rows = [self._body_ids(text) for text in texts]
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        return np.fromiter((id for row in rows for id in row), np.int32, int(lengths.sum())), lengths

    def _wraps_texts_itself(self) -> bool:
        """Whether `tokenize` was replaced, so that it decides about the special tokens of a text."""
        return type(self).tokenize is not TokenizerBase.tokenize or "tokenize" in self.__dict__

    def tokenize(self, text: str, maxlen: int | None = None, **old: Any) -> list[str]:
        """Cuts a text into tokens.

        Args:
            text: any text.
            maxlen: largest number of tokens, special ones included; the last tokens of the text go first.
            **old: arguments of earlier releases: max_length, which is `maxlen`.

        Returns:
            Tokens, with the start and end token around them. A word that the vocabulary cannot spell stays as it is.

        Raises:
            TypeError: `text` is not a str.
            ValueError: `maxlen` is too small for the special tokens.
        """
        if old:
            maxlen = current_arguments("tokenize", old)["maxlen"]
        check_text(text, "text")
        start = [] if self._token_start is None else [self._token_start]
        end = [] if self._token_end is None else [self._token_end]
        body = self._body_tokens(text)
        if maxlen is not None:
            body = body[: check_maxlen(maxlen, len(start) + len(end)) - len(start) - len(end)]
        return start + body + end

    def _row(self, text: str | Sequence[str], name: str) -> list[int]:
        """Ids of one side of a pair with its special tokens; a list is taken for tokens that are complete already."""
        if isinstance(text, str):
            if self._wraps_texts_itself():
                return self.tokens_to_ids(self.tokenize(text))
            ids = [] if self._token_start is None else [self._edge_id("start")]
            ids += self._body_ids(text)
            if self._token_end is not None:
                ids.append(self._edge_id("end"))
            return ids
        if isinstance(text, (list, tuple)):
            for token in text:
                check_text(token, f"each token of {name}")
            ids = self.tokens_to_ids(text)
            self._refuse_texts(text, ids, name)
            return ids
        check_text(text, f"{name}, unless a list of tokens,")
        raise AssertionError("unreachable")

    def _refuse_texts(self, tokens: Sequence[str], ids: list[int], name: str) -> None:
        """Raise a TypeError if what should be the tokens of one text are texts, which would all be unknown."""
        if (tokens and tokens[0] == self._token_start) or (tokens and tokens[-1] == self._token_end):
            return  # what `tokenize` returns
        unknown = self.__dict__.get("_token_unk_id")
        has_edges = self._token_start is not None or self._token_end is not None
        for token, id in zip(tokens, ids, strict=True):
            several = len(token.split()) > 1 or (has_edges and id == unknown and len(self._tokenize(token)) > 1)
            if id == unknown and several:
                raise TypeError(
                    f"{name} is a list, which stands for the tokens of one text, but {token!r:.40} is a text itself:"
                    " encode many texts by encode_batch(texts), a pair by encode(first, second)"
                )

    def encode(
        self,
        first_text: str | Sequence[str],
        second_text: str | Sequence[str] | None = None,
        maxlen: int | None = None,
        pattern: str | None = None,
        truncate_from: str | int = "right",
        **old: Any,
    ) -> tuple[list[int], list[int]]:
        """Ids and segment ids of a text or a pair of texts.

        Args:
            first_text: a text, or the list of its tokens with special tokens (what `tokenize` returns).
            second_text: the same, or None.
            maxlen: largest number of ids; of a pair, the longer text loses tokens first.
            pattern: `'S*E*E'` drops the start token of the second text, `'S*ESE'` keeps it, `'S*EE*E'` puts an end
                token in its place. None for that of the tokenizer: the first for BERT's, the last for RoBERTa's.
            truncate_from: where tokens are taken out: `'right'`, `'left'` or a position.
            **old: arguments of earlier releases: max_length, which is `maxlen`; first_length and second_length, to
                which the ids of each text are cut and padded.

        Returns:
            Two lists of the same length: ids, and segment ids (0 for the first text, 1 for the second; all 0
            for tokenizers of models with one segment).

        Raises:
            TypeError: a text is neither a str nor a list of tokens, or a list holds texts.
            ValueError: `maxlen` is too small for the special tokens, or an option is unknown.
        """
        if old:
            lengths = current_arguments("encode", old)
            maxlen = lengths.pop("maxlen", maxlen)
            ids, segments = self.encode(first_text, second_text, maxlen, pattern, truncate_from)
            return self._fixed(ids, segments.index(1) if 1 in segments else len(ids), **lengths)
        first = self._row(first_text, "first_text")
        second = None
        has_start, has_end = self._token_start is not None, self._token_end is not None
        opens, drop_start = has_start, False
        if second_text is not None:
            pattern = check_pattern(self._pattern if pattern is None else pattern)
            second = self._row(second_text, "second_text")
            drop_start = pattern == "S*E*E"
            if pattern == "S*EE*E":
                opens = has_end
                second = ([self._edge_id("end")] if has_end else []) + second[has_start:]
        if maxlen is not None:
            specials = (has_start + has_end) * isinstance(first_text, str)
            specials += (opens + has_end - (drop_start and has_start)) * isinstance(second_text, str)
            limit = check_maxlen(maxlen, specials)
            # The start token that is dropped below counts here.
            spare = drop_start and (has_start or self._missing_start_counts)
            limits = (limit, 0) if second is None else pair_lengths(len(first), len(second), limit + spare)
            first = cut(first, limits[0], cut_index(truncate_from, has_start, has_end))
            second = None if second is None else cut(second, limits[1], cut_index(truncate_from, opens, has_end))
        if second is None:
            return first, [0] * len(first)
        if drop_start and has_start:
            second = second[1:]
        return first + second, [0] * len(first) + [self._second_segment] * len(second)

    def _fixed(
        self, ids: list[int], middle: int, first_length: int | None = None, second_length: int | None = None
    ) -> tuple[list[int], list[int]]:
        """Ids and segment ids of a pair whose second text begins at `middle`, each cut and padded to a length."""
        first, second = ids[:middle], ids[middle:]
        if first_length is not None:
            first = (first + [self.pad_id] * first_length)[:first_length]
        if second_length is not None and second:
            second = (second + [self.pad_id] * second_length)[:second_length]
        return first + second, [0] * len(first) + [self._second_segment] * len(second)

    def encode_batch(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        maxlen: int | None = None,
        pattern: str | None = None,
        truncate_from: str | int = "right",
        length: int | None = None,
        multiple: int = 1,
    ) -> tuple[np.ndarray, np.ndarray]:
        """`encode` for many texts at once, much faster than one by one, padded at the end.

        Args:
            texts: B texts.
            pairs: the B second texts, or None.
            maxlen: as in `encode`.
            pattern: as in `encode`.
            truncate_from: as in `encode`.
            length: number of columns L; without it, the longest row decides.
            multiple: L is rounded up to a multiple of this, so that a compiled model sees few shapes.

        Returns:
            ids and segment ids, int32 arrays (B, L). Padding is the padding id (0 without one) and segment 0.

        Raises:
            TypeError: a text is not a str, or one str is given instead of a list.
            ValueError: the lists differ in length, a row is longer than `length`, or as in `encode`.
        """
        return encode_batch(self, texts, pairs, maxlen, pattern, truncate_from, length, multiple)

    def __call__(
        self, texts: str | Sequence[str], pairs: str | Sequence[str] | None = None, **options: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """`encode_batch`, for which one text is a batch of one.

        Args:
            texts: B texts, or one.
            pairs: the B second texts, or one, or None.
            **options: the other arguments of `encode_batch`.

        Returns:
            ids and segment ids, int32 arrays (B, L): what models take.

        Raises:
            TypeError, ValueError: as in `encode_batch`.
        """
        if isinstance(texts, str) and not isinstance(pairs, list | tuple):
            texts, pairs = [texts], None if pairs is None else [pairs]
        return self.encode_batch(texts, pairs, **options)
