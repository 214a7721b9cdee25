"""The WordPiece tokenizer of BERT, tuned for Chinese text.

Chinese text is mostly ideographs and punctuation marks, each a token of its own. A regular expression cuts a text
into runs of those, which are looked up character by character, and runs of anything else, whose ids are remembered.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from bert4keras2.errors import CheckpointFormatError
from bert4keras2.tokenizers.base import TokenizerBase, check_text
from bert4keras2.tokenizers.batching import ranges
from bert4keras2.tokenizers.characters import is_cjk_character, is_control, is_punctuation, is_space
from bert4keras2.tokenizers.detokenize import is_special, join_tokens
from bert4keras2.tokenizers.normalize import clean, lowercase_and_strip, piece_pattern, plain_isolated
from bert4keras2.tokenizers.rematch import rematch_words
from bert4keras2.tokenizers.vocabulary import load_vocab, stem

__all__ = ["Tokenizer"]

# A run is remembered if it is short enough to come again; the memory starts anew when it is full.
_MEMO_ENTRIES = 1 << 16
_MEMO_LENGTH = 48

_CACHES = ("_word_memo", "_id_memo", "_span_memo", "_char_ids", "_code_ids", "_plain")

_WORD, _GAP = -1, -2  # marks in the table of `_bodies` for characters without an id of their own


class _Memo(dict):
    """Remembers a function of short strings. Safe to share between threads: every step is a single dict operation."""

    def __init__(self, function: Callable[[str], Any]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, text: str) -> Any:
        value = self._function(text)
        if len(text) <= _MEMO_LENGTH:
            if len(self) >= _MEMO_ENTRIES:
                self.clear()
            self[text] = value
        return value


class Tokenizer(TokenizerBase):
    """WordPiece tokenizer over a vocabulary of tokens (Devlin et al., 2019, https://arxiv.org/abs/1810.04805).

    Args:
        token_dict: path of a vocabulary file, or a mapping from token to id.
        do_lower_case: lower-case texts and drop accents; True for uncased models and most Chinese ones.
        word_maxlen: longer words are not cut into pieces but become one unknown token.
        token_start: token put before a text, or None.
        token_end: token put after a text, or None.
        pre_tokenize: function from a (lower-cased) text to its words; words in the vocabulary stay whole, others are
            cut as usual. `'jieba'` stands for `jieba_pre_tokenize()`.
        token_translate: token of the text -> token to use instead of it.
        never_split: tokens of the vocabulary that stay whole where they occur literally in a text; by default even
            `[MASK]` is cut into `[`, `mask`, `]`.

    Raises:
        FileNotFoundError, IsADirectoryError: see `load_vocab`.
        TypeError: `token_dict` is neither a path nor a mapping.
        ValueError: the vocabulary is empty, or lacks a token of `never_split` or, if it is a file, a special one.
            Of a mapping that someone made for a task, such as the moves of chess, a warning tells what it lacks.
    """

    def __init__(
        self,
        token_dict: str | os.PathLike | Mapping[str, int],
        do_lower_case: bool = False,
        word_maxlen: int = 200,
        token_start: str | None = "[CLS]",
        token_end: str | None = "[SEP]",
        pre_tokenize: Callable[[str], Iterable[str]] | str | None = None,
        token_translate: Mapping[str, str] | None = None,
        never_split: Iterable[str] | None = None,
    ) -> None:
        super().__init__(token_start, token_end, pre_tokenize, token_translate, never_split)
        if isinstance(token_dict, (str, os.PathLike)):
            token_dict, path = load_vocab(token_dict), os.fspath(token_dict)
        elif not isinstance(token_dict, Mapping):
            raise TypeError(f"token_dict must be a path or a dict, got {type(token_dict).__name__}")
        else:
            path = None
        if not token_dict:
            raise ValueError("token_dict is empty; expected a dict from token to id")
        self._do_lower_case = do_lower_case
        self._word_maxlen = word_maxlen
        self._token_dict = dict(token_dict)
        self._token_dict_inv = {id: token for token, id in self._token_dict.items()}
        self._vocab_size = len(self._token_dict)
        self._set_special_ids(path)

    def _set_special_ids(self, path: str | None) -> None:
        needed = {self._token_unk, self._token_start, self._token_end, *self._never_split} - {None}
        missing = sorted(needed - self._token_dict.keys())
        if missing:
            named = "" if path is None else f"{path!r} "
            message = (
                f"the vocabulary {named}of {self._vocab_size} tokens lacks {', '.join(missing)}; check that it is the "
                "model's vocabulary, or pass token_start=None / token_end=None / other names for those it does not use"
            )
            if path is not None:
                raise CheckpointFormatError(message)
            if {*missing} & {*self._never_split}:
                raise ValueError(message)
            warnings.warn(message, stacklevel=3)
        for role in ("pad", "unk", "mask", "start", "end"):
            token = getattr(self, f"_token_{role}")
            if token in self._token_dict:
                setattr(self, f"_token_{role}_id", self._token_dict[token])

    # ------------------------------------------------------------------ caches

    def __setattr__(self, name: str, value: Any) -> None:
        # Scripts patch attributes such as _token_unk_id; whatever was remembered with the old value must go.
        object.__setattr__(self, name, value)
        for cache in _CACHES:
            self.__dict__.pop(cache, None)

    def __getattr__(self, name: str) -> Any:
        # The caches are made when first used, and again after pickling, copying or a change of an attribute.
        if name == "_word_memo":
            value = _Memo(self._pieces_of_run)
        elif name == "_id_memo":
            value = _Memo(self._ids_of_run)
        elif name == "_span_memo":
            value = _Memo(super()._body_spans)
        elif name == "_char_ids":
            value = {char: self._translated_id(char) for char in plain_isolated()}
        elif name == "_code_ids":
            value = np.full(0x10000, _WORD, np.int32)
            value[[ord(char) for char in self._char_ids]] = list(self._char_ids.values())
            value[[ord(char) for char in " \t\n\r\xa0\u3000"]] = _GAP
        elif name == "_plain":
            # Texts go through _tokenize_plain only, so that ids can be looked up without making tokens.
            own_tokenize = type(self)._tokenize is not TokenizerBase._tokenize or "_tokenize" in self.__dict__
            value = self._literals is None and self._pre_tokenize is None and not own_tokenize
        else:
            return super().__getattr__(name)
        self.__dict__[name] = value
        return value

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in _CACHES}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    # ------------------------------------------------------------------ words to pieces

    def _word_piece_tokenize(self, word: str) -> list[str]:
        """Cuts a word into the longest pieces of the vocabulary from the left; `[word]` if that fails."""
        vocabulary = self._token_dict
        if word in vocabulary or len(word) > self._word_maxlen:
            return [word]
        tokens, start, size = [], 0, len(word)
        while start < size:
            prefix = "##" if start else ""
            for end in range(size, start, -1):
                piece = prefix + word[start:end]
                if piece in vocabulary:
                    break
            else:
                return [word]
            tokens.append(piece)
            start = end
        return tokens

    def _pieces_of_run(self, run: str) -> list[str]:
        return [piece for word in clean(run, self._do_lower_case) for piece in self._word_piece_tokenize(word)]

    def _ids_of_run(self, run: str) -> list[int]:
        return [self._translated_id(piece) for piece in self._pieces_of_run(run)]

    def _translated_id(self, token: str) -> int:
        return self._token_dict.get(self._token_translate.get(token) or token, self._token_unk_id)

    # ------------------------------------------------------------------ texts to tokens and ids

    def _tokenize_plain(self, text: str) -> list[str]:
        if self._pre_tokenize is not None:
            words = self._pre_tokenize(lowercase_and_strip(text) if self._do_lower_case else text)
            return [
                piece for word in words for piece in ([word] if word in self._token_dict else self._word_memo[word])
            ]
        if self._do_lower_case and "Σ" in text:  # its lower case depends on the neighbours in the whole text
            return self._pieces_of_run(text)
        tokens: list[str] = []
        isolated, memo = self._char_ids, self._word_memo
        for piece in piece_pattern().findall(text):
            tokens += piece if piece[0] in isolated else memo[piece]
        return tokens

    def _goes_by_runs(self, text: str) -> bool:
        """Whether each run of `piece_pattern` gives the same tokens wherever it stands; a final sigma does not."""
        return self._plain and not (self._do_lower_case and "Σ" in text)

    def _body_spans(self, text: str) -> list[tuple[int, int] | None]:
        if not self._goes_by_runs(text):
            return super()._body_spans(text)
        spans: list[tuple[int, int] | None] = []
        isolated, memo = self._char_ids, self._span_memo
        for match in piece_pattern().finditer(text):
            piece, start, end = match[0], *match.span()
            if piece[0] in isolated:
                spans += zip(range(start, end), range(start + 1, end + 1), strict=True)
            else:
                spans += [span and (start + span[0], start + span[1]) for span in memo[piece]]
        return spans

    def _body_ids(self, text: str) -> list[int]:
        if not self._goes_by_runs(text):
            return super()._body_ids(text)
        ids: list[int] = []
        isolated, memo = self._char_ids, self._id_memo
        lookup = isolated.__getitem__
        for piece in piece_pattern().findall(text):
            ids += map(lookup, piece) if piece[0] in isolated else memo[piece]
        return ids

    def _bodies(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        joined = "\n".join(texts)
        if not joined or not self._goes_by_runs(joined):
            return super()._bodies(texts)
        codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), "<u4")
        ids = self._code_ids[np.minimum(codes, 0xFFFF)]
        # Runs of word characters, cut exactly where the regular expression of `_body_ids` cuts.
        in_word = np.concatenate([[False], ids == _WORD, [False]])
        edges = np.flatnonzero(in_word[1:] != in_word[:-1])
        starts, ends = edges[::2], edges[1::2]
        memo = self._id_memo
        runs = [memo[joined[first:last]] for first, last in zip(starts.tolist(), ends.tolist(), strict=True)]

        counts = (ids >= 0).astype(np.int64)
        run_counts = np.fromiter(map(len, runs), np.int64, len(runs))
        counts[starts] = run_counts
        positions = np.concatenate([[0], np.cumsum(counts)])
        flat = np.empty(positions[-1], np.int32)
        single = np.flatnonzero(ids >= 0)
        flat[positions[single]] = ids[single]
        flat[ranges(positions[starts], run_counts)] = np.fromiter(
            (id for run in runs for id in run), np.int32, int(run_counts.sum())
        )
        ends_of_texts = np.cumsum([len(text) + 1 for text in texts]) - 1
        return flat, np.diff(positions[ends_of_texts], prepend=0)

    def token_to_id(self, token: str) -> int:
        """Id of a token.

        Args:
            token: a token.

        Returns:
            Its id, or that of the unknown token.
        """
        return self._token_dict.get(token, self._token_unk_id)

    def id_to_token(self, id: int) -> str:
        """Token of an id.

        Args:
            id: a whole number.

        Returns:
            The token.

        Raises:
            ValueError: no token has this id.
        """
        try:
            return self._token_dict_inv[id]
        except KeyError:
            raise ValueError(
                f"id {id!r} is not in the vocabulary of {self._vocab_size} tokens; "
                "do the model and the tokenizer use the same vocabulary?"
            ) from None

    def decode(self, ids: Iterable[int] | None, tokens: Iterable[str] | None = None) -> str:
        """Readable text from ids or tokens.

        Args:
            ids: ids; ignored if `tokens` are given.
            tokens: tokens.

        Returns:
            The text without special tokens; case, accents and the exact spaces cannot be restored.

        Raises:
            ValueError: an id is outside the vocabulary.
        """
        return join_tokens(self.ids_to_tokens(ids) if tokens is None else tokens)

    def rematch(self, text: str, tokens: list[str]) -> list[list[int]]:
        """Where each token stands in the text.

        Args:
            text: the text that was tokenized.
            tokens: its tokens (what `tokenize` returned, also cut at either end).

        Returns:
            For every token the indices of its characters in `text`, ascending; empty for special tokens. Characters
            that the tokenizer drops belong to no token; a character that becomes several is listed several times.

        Raises:
            TypeError: `text` is not a str.
            ValueError: a token does not occur in the text after the tokens before it.
        """
        check_text(text, "text")
        return rematch_words(self, text, list(tokens))

    stem = staticmethod(stem)
    _is_special = staticmethod(is_special)
    _is_space = staticmethod(is_space)
    _is_control = staticmethod(is_control)
    _is_punctuation = staticmethod(is_punctuation)
    _is_cjk_character = staticmethod(is_cjk_character)
