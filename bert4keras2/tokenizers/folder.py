"""The tokenizer that belongs to a released checkpoint, found by its folder."""

from __future__ import annotations

import json
import os
from typing import Any

from bert4keras2.checkpoints.folder import find_checkpoint
from bert4keras2.tokenizers.sentence_piece import SpTokenizer
from bert4keras2.tokenizers.wordpiece import Tokenizer

__all__ = ["load_tokenizer"]


def load_tokenizer(folder: str | os.PathLike, **kwargs: Any) -> Tokenizer | SpTokenizer:
    """Return the tokenizer of a checkpoint's folder: WordPiece for a vocab.txt, SentencePiece for a *.model.

    Args:
        folder: the folder that `build_transformer_model` loads.
        **kwargs: arguments of the tokenizer, which win over what the folder says. Text is lower-cased unless
            tokenizer_config.json says otherwise; SentencePiece models with <s> and </s> start and end with them.

    Raises:
        FileNotFoundError: if the folder has no vocabulary.
        ValueError: if the vocabulary has more tokens than the model has embeddings.
    """
    found = find_checkpoint(folder)
    if found.vocab_path is not None:
        tokenizer = Tokenizer(found.vocab_path, **{"do_lower_case": _lower_case(os.fspath(folder)), **kwargs})
        vocabulary = found.vocab_path
    elif found.sentencepiece_path is not None:
        pieces = _pieces(found.sentencepiece_path)
        start = "<s>" if "<s>" in pieces else None
        end = "</s>" if "</s>" in pieces else None
        tokenizer = SpTokenizer(found.sentencepiece_path, **{"token_start": start, "token_end": end, **kwargs})
        vocabulary = found.sentencepiece_path
    else:
        raise FileNotFoundError(f"{os.fspath(folder)} has neither a vocab.txt nor a SentencePiece model")
    with open(found.config_path, encoding="utf-8") as file:
        rows = json.load(file).get("vocab_size")
    # Fewer tokens than rows is common: tables are padded to round sizes.
    if rows is not None and tokenizer.vocab_size > rows:
        raise ValueError(
            f"{vocabulary} has {tokenizer.vocab_size} tokens, but the model of {found.config_path} has {rows}"
            " embeddings: they do not belong together"
        )
    return tokenizer


def _lower_case(folder: str) -> bool:
    path = os.path.join(folder, "tokenizer_config.json")
    if not os.path.isfile(path):
        return True
    with open(path, encoding="utf-8") as file:
        return bool(json.load(file).get("do_lower_case", True))


def _pieces(path: str) -> set[str]:
    import sentencepiece

    model = sentencepiece.SentencePieceProcessor(model_file=path)
    return {model.id_to_piece(i) for i in range(min(16, model.get_piece_size()))}
