"""The vocabulary and the tokenized texts of a run."""

from __future__ import annotations

import os
import time
from typing import Any

from bert4keras2.pretraining.config import PretrainingConfig
from bert4keras2.pretraining.corpus import corpus_files, read_passages
from bert4keras2.pretraining.objectives import OBJECTIVES
from bert4keras2.pretraining.shards import Shards, is_complete
from bert4keras2.pretraining.tokenize import tokenize_corpus
from bert4keras2.pretraining.vocabulary import count_words, make_vocabulary
from bert4keras2.progress import shown
from bert4keras2.tokenizers import Tokenizer, load_tokenizer, save_vocab

__all__ = ["VOCABULARY", "prepare_texts"]

VOCABULARY = "vocab.txt"


def prepare_texts(config: PretrainingConfig, wait: bool = False) -> tuple[Any, Shards]:
    """Return the tokenizer and the shards of a run; what is there already is not made again.

    Args:
        config: of the run.
        wait: until another process has made them.

    Raises:
        CorpusError: if the corpus is empty, damaged, or has changed since shards were made from it.
        FileNotFoundError: if a vocabulary or a checkpoint is missing.
    """
    os.makedirs(config.output, exist_ok=True)
    folder = config.shards or os.path.join(config.output, "shards")
    while wait and not is_complete(folder):
        time.sleep(0.5)
    reading = {"field": config.field, "group_field": config.group_field, "encoding": config.encoding}
    if config.start is not None:
        tokenizer = load_tokenizer(config.start)
    else:
        tokenizer = Tokenizer(config.vocabulary or _own_vocabulary(config, reading), do_lower_case=True)
    _see_to_mask(tokenizer, config)
    if wait:
        return tokenizer, Shards(folder)
    shards = tokenize_corpus(config.corpus, tokenizer, folder, config.words, config.workers, config.progress, **reading)
    return tokenizer, shards


def _see_to_mask(tokenizer: Any, config: PretrainingConfig) -> None:
    """Let the configuration's token be the one that hides others; fail before hours of tokenization without any."""
    token = config.mask_token
    if token is not None:
        id = tokenizer.token_to_id(token)
        if tokenizer.id_to_token(id) != token:
            raise ValueError(f"mask_token={token!r} is not in the vocabulary: take a piece of it, such as <unk>")
        tokenizer._token_mask, tokenizer._token_mask_id = token, id
    if hasattr(OBJECTIVES[config.published.objective], "hide"):
        try:
            _ = tokenizer.mask_id
        except ValueError as error:
            raise ValueError(
                f"{error}. Let another piece hide tokens, one that texts hardly hold: --mask-token '<unk>' (mask_token"
                " in a file), or take an objective without hidden tokens: lm, unilm"
            ) from error


def _own_vocabulary(config: PretrainingConfig, reading: dict[str, Any]) -> str:
    """Return the path of a vocabulary of the corpus' counts; a run that goes on keeps the one that it has."""
    path = os.path.join(config.output, VOCABULARY)
    if not os.path.exists(path):
        passages = read_passages(corpus_files(config.corpus), **reading)
        passages = shown(passages, "counting", " passages", config.progress)
        counts = count_words(text for passage in passages for text in passage.texts)
        save_vocab(path, make_vocabulary(counts, config.vocab_size))
    return path
