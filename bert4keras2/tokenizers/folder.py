"""The tokenizer that belongs to a released checkpoint, found by its folder."""

from __future__ import annotations

import json
import os
from typing import Any

from bert4keras2.checkpoints.finding.resolve import resolve
from bert4keras2.checkpoints.folder import companions, copy_companions, find_config, find_vocabulary, find_weights
from bert4keras2.errors import CheckpointError, CheckpointFormatError, CheckpointNotFoundError
from bert4keras2.families.config import read_config
from bert4keras2.files import read_json, write_text
from bert4keras2.tokenizers.huggingface import HuggingFaceTokenizer
from bert4keras2.tokenizers.sentence_piece import SpTokenizer
from bert4keras2.tokenizers.tokenizer_json import find_tokenizer_json
from bert4keras2.tokenizers.vocabulary import save_vocab
from bert4keras2.tokenizers.wordpiece import Tokenizer

__all__ = ["load_tokenizer", "save_tokenizer"]

_XLM_ROBERTA = ("XLMRobertaTokenizer", "XLMRobertaTokenizerFast")


def load_tokenizer(folder: str | os.PathLike, **kwargs: Any) -> Tokenizer | SpTokenizer | HuggingFaceTokenizer:
    """Return the tokenizer of a checkpoint's folder; weights are not needed.

    The first of these that is there counts: a vocab.txt (`Tokenizer`), a SentencePiece model (`SpTokenizer`), a
    tokenizer.json, or vocab.json with merges.txt (`HuggingFaceTokenizer`).

    Args:
        folder: the folder that `build_transformer_model` loads, or one with the vocabulary alone; or the name of a
            repository on the Hugging Face hub, whose small files are then downloaded.
        **kwargs: arguments of the tokenizer, which win over what the folder says. With a vocab.txt, text is
            lower-cased unless tokenizer_config.json says otherwise; SentencePiece models with [CLS] and [SEP], or else
            <s> and </s>, start and end with them, and XLM-RoBERTa's have the ids of the model, layout='fairseq'.

    Raises:
        FileNotFoundError: if the folder has no vocabulary; the message tells what it has.
        ImportError: if the package that reads the vocabulary is not installed.
        ValueError: if a file is damaged, or the vocabulary has more tokens than the model has embeddings.
    """
    name = resolve(folder, weights=False)
    vocabulary, model = find_vocabulary(name)
    config_path = _config_path(name)
    config = {} if config_path is None else read_config(config_path)
    tokenizer: Tokenizer | SpTokenizer | HuggingFaceTokenizer
    if vocabulary is not None:
        lower_case = bool(_tokenizer_config(name).get("do_lower_case", True))
        tokenizer = Tokenizer(vocabulary, **{"do_lower_case": lower_case, **kwargs})
    elif model is not None:
        vocabulary = model
        tokenizer = SpTokenizer(model, **{**_sentencepiece_options(name, model, config), **kwargs})
    else:
        vocabulary = find_tokenizer_json(name)
        if vocabulary is None:
            there = sorted(os.listdir(name))
            raise CheckpointNotFoundError(
                f"{name} has no vocabulary. Looked for vocab.txt, a SentencePiece model (*.model), tokenizer.json, and "
                f"vocab.json with merges.txt; found {', '.join(there[:10]) or 'nothing'}{', ...' * (len(there) > 10)}"
            )
        tokenizer = HuggingFaceTokenizer(vocabulary, **kwargs)
    rows = config.get("vocab_size")
    # Fewer tokens than rows is common: tables are padded to round sizes.
    if rows is not None and tokenizer.vocab_size > rows:
        raise CheckpointFormatError(
            f"{vocabulary} has {tokenizer.vocab_size} tokens, but the model of {config_path} has {rows}"
            " embeddings: they do not belong together"
        )
    if config.get("type_vocab_size") == 1:
        tokenizer._second_segment = 0
    return tokenizer


def save_tokenizer(tokenizer: Any, folder: str, transformer: Any) -> None:
    """Write what a tokenizer is made of: a list of tokens as it is in use, files of other kinds as they were.

    Args:
        tokenizer: of `load_tokenizer`, or one of the classes here.
        folder: where to; it exists.
        transformer: the model that it belongs to, whose `source` has the files.

    Raises:
        ValueError: if the files are needed and not known.
    """
    source = transformer.source
    if source is not None and not os.path.isdir(source):
        source = None
    if isinstance(tokenizer, Tokenizer):
        config = transformer.config
        picked = config.keep_tokens is not None or bool(config.compound_tokens)
        if source is not None and not picked and "vocab.txt" in companions(source):
            copy_companions(source, folder)
        else:
            save_vocab(os.path.join(folder, "vocab.txt"), tokenizer._token_dict)
        path = os.path.join(folder, "tokenizer_config.json")
        if not os.path.exists(path):
            said = {"do_lower_case": tokenizer._do_lower_case, "tokenizer_class": "BertTokenizer"}
            write_text(path, json.dumps(said, indent=1) + "\n")
    elif source is not None:
        copy_companions(source, folder)
    else:
        raise ValueError(
            f"the model was loaded from no folder, so the files of the {type(tokenizer).__name__} are not known: build"
            " it from the folder that has them"
        )


def _config_path(folder: str) -> str | None:
    try:
        kind = find_weights(folder)[1]
    except CheckpointError:  # whatever is wrong with the weights, the vocabulary can be read
        kind = ""
    try:
        return find_config(folder, kind)
    except CheckpointNotFoundError:
        return None


def _tokenizer_config(folder: str) -> dict[str, Any]:
    path = os.path.join(folder, "tokenizer_config.json")
    return read_json(path, "the configuration of a tokenizer") if os.path.isfile(path) else {}


def _sentencepiece_options(folder: str, path: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `SpTokenizer` that a folder implies."""
    pieces = _first_pieces(path)
    told = _tokenizer_config(folder).get("tokenizer_class") or config.get("tokenizer_class")
    family = config.get("model_type")
    by_name = family is None and told is None and os.path.basename(path) == "sentencepiece.bpe.model"
    # A model with a padding piece of its own among the first is not numbered anew, whatever class its files name.
    if pieces[:3] == ["<unk>", "<s>", "</s>"] and (family == "xlm-roberta" or told in _XLM_ROBERTA or by_name):
        return {"layout": "fairseq"}
    start = next((piece for piece in ("[CLS]", "<s>") if piece in pieces), None)
    end = next((piece for piece in ("[SEP]", "</s>") if piece in pieces), None)
    return {"token_start": start, "token_end": end}


def _first_pieces(path: str) -> list[str]:
    model = SpTokenizer(path, token_start=None, token_end=None)
    return model.ids_to_tokens(range(min(16, model.vocab_size)))
