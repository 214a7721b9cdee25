"""Tokenizer over a SentencePiece model (T5, ALBERT, XLM-R, ...)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby

from bert4keras2.errors import CheckpointDamagedError, CheckpointNotFoundError
from bert4keras2.files import reject_impostor
from bert4keras2.tokenizers.base import TokenizerBase, check_text
from bert4keras2.tokenizers.characters import is_cjk_character, is_control, is_space
from bert4keras2.tokenizers.rematch import rematch_pieces

__all__ = ["SpTokenizer"]

_BLANK = "\u2581"  # how SentencePiece writes a blank
# fairseq numbers four special tokens itself and puts the model's other pieces after them, the mask token at the end.
_FAIRSEQ_IDS = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
_FAIRSEQ_FIRST = ["<unk>", "<s>", "</s>"]  # the first pieces of a model that it so numbers


def _load_model(path: str | os.PathLike):
    try:
        import sentencepiece
    except ImportError as error:
        raise ImportError("SpTokenizer needs the package sentencepiece: pip install sentencepiece") from error
    name = os.fspath(path)
    if os.path.isdir(name):
        raise IsADirectoryError(f"SentencePiece model {name!r} is a folder; pass the .model file inside it")
    if not os.path.exists(name):
        raise CheckpointNotFoundError(
            f"SentencePiece model {name!r} does not exist; check the path of the checkpoint folder"
        )
    if os.path.getsize(name):
        reject_impostor(name, "a SentencePiece model")
    with open(name, "rb") as file:
        content = file.read()
    processor = sentencepiece.SentencePieceProcessor()
    try:
        loaded = processor.LoadFromSerializedProto(content) if content else False
    except (RuntimeError, ValueError, OSError) as error:
        raise CheckpointDamagedError(
            f"{name!r} is not a SentencePiece model ({error}); is the file complete?"
        ) from error
    if not loaded or not processor.GetPieceSize():
        raise CheckpointDamagedError(
            f"{name!r} is not a SentencePiece model: it holds no pieces; is the file complete?"
        )
    return processor


class SpTokenizer(TokenizerBase):
    """Tokenizer over a SentencePiece model (Kudo and Richardson, 2018, https://arxiv.org/abs/1808.06226).

    The names of the padding and unknown pieces come from the model. A start, end or mask token that the model does not
    have gets the id of the unknown piece, as in bert4keras: T5 wants `token_start=None, token_end='</s>'`.

    Args:
        sp_model_path: path of the `.model` file.
        token_start: piece put before a text, or None.
        token_end: piece put after a text, or None.
        pre_tokenize: function from a text to its words, which are then cut one by one; `'jieba'` stands for
            `jieba_pre_tokenize()`.
        token_translate: piece of the text -> piece to use instead of it; `decode` translates back.
        never_split: pieces that stay whole where they occur literally in a text.
        layout: None for the ids of the model; `'fairseq'` for those of XLM-RoBERTa: `<s>`, `<pad>`, `</s>`, `<unk>`
            are 0 to 3, the model's piece i >= 3 is i + 1, `<mask>` comes last. A text is then `<s> A </s>` (`[CLS]` and
            `[SEP]` stand for these two), a pair `<s> A </s> </s> B </s>`, and all segment ids are 0.
        tokenize_chinese_chars: whether each Chinese character is a token of its own, as BERT's are, though the model
            has pieces of several: for tags and spans, whose ends may lie within them.

    Raises:
        ImportError: the package sentencepiece is not installed.
        FileNotFoundError, IsADirectoryError: there is no such file.
        ValueError: the file is not a SentencePiece model, lacks a piece of `never_split`, or does not fit the layout.
    """

    def __init__(
        self,
        sp_model_path: str | os.PathLike,
        token_start: str | None = "[CLS]",
        token_end: str | None = "[SEP]",
        pre_tokenize: Callable[[str], Iterable[str]] | str | None = None,
        token_translate: Mapping[str, str] | None = None,
        never_split: Iterable[str] | None = None,
        layout: str | None = None,
        tokenize_chinese_chars: bool = False,
    ) -> None:
        if layout not in (None, "fairseq"):
            raise ValueError(f"layout={layout!r} is unknown; use 'fairseq', or None for the ids of the model")
        if layout == "fairseq":
            token_start = "<s>" if token_start == "[CLS]" else token_start
            token_end = "</s>" if token_end == "[SEP]" else token_end
        super().__init__(token_start, token_end, pre_tokenize, token_translate, never_split)
        self.sp_model = _load_model(sp_model_path)
        self._tokenize_chinese_chars = tokenize_chinese_chars
        self._parts: dict[str, list[str]] = {}  # what pieces with Chinese characters were cut into
        self._vocab_size = self.sp_model.GetPieceSize()
        pad, unk = self.sp_model.pad_id(), self.sp_model.unk_id()
        self._token_pad = self.sp_model.IdToPiece(pad) if pad >= 0 else None
        self._token_unk = self.sp_model.IdToPiece(unk)
        self._fixed_ids: dict[str, int] = {}  # ids that the layout gives to special tokens
        self._shift, self._unknown_id, self._unknown_piece = 0, unk, unk
        if layout == "fairseq":
            self._set_fairseq_ids(os.fspath(sp_model_path))
        missing = [token for token in self._never_split if not self._has_piece(token)]
        if missing:
            raise ValueError(f"never_split: {', '.join(missing)} are not pieces of the model")
        for role in ("pad", "unk", "mask", "start", "end"):
            token = getattr(self, f"_token_{role}")
            if token is not None:
                setattr(self, f"_token_{role}_id", self.token_to_id(token))

    def _set_fairseq_ids(self, path: str) -> None:
        first = [self.sp_model.IdToPiece(id) for id in range(min(3, self._vocab_size))]
        if first != _FAIRSEQ_FIRST:
            raise ValueError(
                f"layout='fairseq' is for models that begin with the pieces {', '.join(_FAIRSEQ_FIRST)}, but {path!r} "
                f"begins with {', '.join(first)}; leave layout out to have the ids of the model"
            )
        # The three pieces in front make room for four special tokens; the mask token comes after all others.
        self._shift, self._vocab_size = 1, self._vocab_size + 2
        self._fixed_ids = {**_FAIRSEQ_IDS, "<mask>": self._vocab_size - 1}
        self._unknown_id = self._fixed_ids["<unk>"]
        self._token_pad, self._token_mask = "<pad>", "<mask>"
        self._pattern, self._second_segment = "S*EE*E", 0

    def _has_piece(self, token: str) -> bool:
        return self.token_to_id(token) != self._unknown_id or token == self._token_unk

    def _special_id(self, role: str) -> int:
        token = getattr(self, f"_token_{role}", None)
        if token is not None and not self._has_piece(token):
            raise ValueError(f"this tokenizer has no {role} token: {token!r} is not a piece of the model")
        return super()._special_id(role)

    def _tokenize_plain(self, text: str) -> list[str]:
        words = [text] if self._pre_tokenize is None else self._pre_tokenize(text)
        return [piece for word in words for piece in self._pieces(word)]

    def _pieces(self, text: str) -> list[str]:
        pieces = self._whole_pieces(text)
        return [part for piece in pieces for part in self._cut(piece)] if self._tokenize_chinese_chars else pieces

    def _cut(self, piece: str) -> list[str]:
        """Return the parts of a piece of which each Chinese character is one."""
        parts = self._parts.get(piece)
        if parts is None:
            parts = self._cut_anew(piece) if any(map(is_cjk_character, piece)) else [piece]
            if self._has_piece(piece):  # unknown runs of characters are without number
                self._parts[piece] = parts
        return parts

    def _cut_anew(self, piece: str) -> list[str]:
        body = piece.removeprefix(_BLANK)
        runs = ["".join(run) for alone, run in groupby(body, is_cjk_character) for run in ([*run] if alone else [run])]
        parts = [part for run in runs for part in ([run] if len(run) == 1 or self._has_piece(run) else run)]
        if body == piece:
            return parts
        return [_BLANK + parts[0], *parts[1:]] if self._has_piece(_BLANK + parts[0]) else [_BLANK, *parts]

    def _whole_pieces(self, text: str) -> list[str]:
        try:
            return self.sp_model.EncodeAsPieces(text)
        except (RuntimeError, UnicodeError, TypeError) as error:  # TypeError: of older releases
            raise ValueError(
                f"text {text!r:.60} cannot be written in UTF-8, which SentencePiece works on; "
                "it holds half of a surrogate pair: repair or drop it"
            ) from error

    def token_to_id(self, token: str) -> int:
        """Id of a piece.

        Args:
            token: a piece.

        Returns:
            Its id, or that of the unknown piece.
        """
        if token in self._fixed_ids:
            return self._fixed_ids[token]
        id = self.sp_model.PieceToId(token)
        return self._unknown_id if id == self._unknown_piece else id + self._shift

    def id_to_token(self, id: int) -> str:
        """Piece of an id.

        Args:
            id: a whole number, not negative.

        Returns:
            The piece; `''` for the ids after the last piece, which models with a padded vocabulary may produce.

        Raises:
            ValueError: the id is negative.
        """
        if id < 0:
            raise ValueError(f"id {id!r} is negative; ids of this model are 0 to {self._vocab_size - 1}")
        if id >= self._vocab_size:
            return ""
        fixed = next((token for token, place in self._fixed_ids.items() if place == id), None)
        return self.sp_model.IdToPiece(int(id) - self._shift) if fixed is None else fixed

    def _is_special(self, id: int) -> bool:
        """Whether an id stands for no text: control, unknown and unused pieces."""
        if id in self._fixed_ids.values():
            return True
        model, id = self.sp_model, id - self._shift
        return model.IsControl(id) or model.IsUnknown(id) or model.IsUnused(id)

    def _is_decodable(self, id: int) -> bool:
        """Whether an id stands for text."""
        return id < self._vocab_size and not self._is_special(int(id))

    def decode(self, ids: Iterable[int] | None, tokens: Iterable[str] | None = None) -> str:
        """Text from ids or pieces.

        Args:
            ids: ids; ignored if `tokens` are given.
            tokens: pieces.

        Returns:
            The text; control pieces leave no trace, unknown ones show as ` ⁇ `.

        Raises:
            ValueError: an id is negative.
        """
        pieces = self.ids_to_tokens(ids) if tokens is None else list(tokens)
        back = self._token_translate_inv
        pieces = [back.get(piece) or piece for piece in pieces if piece]
        # Special tokens that only the layout has stand for no text.
        own = [piece for piece in pieces if piece not in self._fixed_ids or piece in _FAIRSEQ_FIRST]
        return self.sp_model.DecodeIds([self.sp_model.PieceToId(piece) for piece in own])

    def rematch(self, text: str, tokens: list[str]) -> list[list[int]]:
        """Where each piece stands in the text.

        Args:
            text: the text that was tokenized.
            tokens: its pieces (what `tokenize` returned, also cut at either end).

        Returns:
            For every piece the indices of its characters in `text`, ascending; empty for pieces without text.

        Raises:
            TypeError: `text` is not a str.
            ValueError: a piece does not come from the text.
        """
        check_text(text, "text")
        return rematch_pieces(self, text, list(tokens))

    def _word_indices(self, word: str) -> list[tuple[str, list[int]]]:
        pieces = self._whole_pieces(word)
        try:
            spans = self.sp_model.encode(word, return_type="offset_mapping")["offsets"]
        except (TypeError, ValueError):  # sentencepiece before 0.2.2
            spans = [(item.begin, item.end) for item in self.sp_model.encode(word, out_type="immutable_proto").pieces]
        result: list[tuple[str, list[int]]] = []
        following: list[int] = []
        # When one character becomes several pieces, SentencePiece gives it to the last of them only.
        for piece, (first, last) in zip(reversed(pieces), reversed(spans), strict=True):
            if last > first:
                following = [at for at in range(first, last) if not (is_space(word[at]) or is_control(word[at]))]
            result.append((piece, [] if piece == _BLANK else following))
        result.reverse()
        if self._tokenize_chinese_chars:
            return [part for piece, indices in result for part in self._cut_indices(piece, indices)]
        return result

    def _cut_indices(self, piece: str, indices: list[int]) -> list[tuple[str, list[int]]]:
        """Return the parts of a piece, each with its indices, or all where characters became others."""
        parts, found, start = self._cut(piece), [], 0
        known = len(piece.replace(_BLANK, "")) == len(indices)
        for part in parts:
            length = len(part.replace(_BLANK, ""))
            found.append((part, (indices[start : start + length] if known else indices) if length else []))
            start += length
        return found
