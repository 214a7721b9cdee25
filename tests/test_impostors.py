"""Git LFS pointers and web pages under the names of files, said to be such by everything that reads one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from bert4keras2.checkpoints import CheckpointFormatError, describe, open_checkpoint, write_tensorflow
from bert4keras2.models import build_transformer_model
from bert4keras2.tokenizers import HuggingFaceTokenizer, SpTokenizer, Tokenizer, load_tokenizer, load_vocab
from bert4keras2.training.model import Model
from bert4keras2.training.saving import load_model

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 411529776\n"
PAGE = b"<!DOCTYPE html>\n<html><body>404</body></html>"
SIZES = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 0, "num_attention_heads": 2, "intermediate_size": 16}


def load_weights(path: Path) -> None:
    """Read weights into a model of one layer."""
    x = keras.Input((2,))
    Model(x, keras.layers.Dense(1)(x)).load_weights(path)


def in_folder(read: Callable[[Path], Any], *others: str) -> Callable[[Path], Any]:
    """Return a function that reads the folder of a file, in which other files are whole."""

    def function(path: Path) -> Any:
        for name in others:
            if name == "config.json":
                (path.parent / name).write_text(json.dumps(SIZES))
            elif name == "merges.txt":
                (path.parent / name).write_text("#version: 0.2\n")
            else:
                write_tensorflow(path.parent / name, [("bert/embeddings/word_embeddings", np.ones((20, 8), "f4"))])
        return read(path.parent)

    return function


READERS: dict[str, list[Callable[[Path], Any]]] = {
    "model.safetensors": [open_checkpoint, in_folder(build_transformer_model, "config.json"), load_weights],
    "pytorch_model.bin": [open_checkpoint, in_folder(describe, "config.json")],
    "model.safetensors.index.json": [open_checkpoint],
    "bert_model.ckpt.index": [open_checkpoint, in_folder(build_transformer_model, "config.json")],
    "bert_model.ckpt": [open_checkpoint],
    "config.json": [build_transformer_model, in_folder(build_transformer_model, "bert_model.ckpt")],
    "best_model.weights": [load_weights, open_checkpoint],
    "model.weights.h5": [load_weights, load_model],
    "model.h5": [load_weights, load_model],
    "model.keras": [load_model, load_weights],
    "best_model": [load_model, load_weights],
    "vocab.txt": [load_vocab, Tokenizer, in_folder(load_tokenizer)],
    "spiece.model": [SpTokenizer, in_folder(load_tokenizer)],
    "tokenizer.json": [HuggingFaceTokenizer, in_folder(load_tokenizer)],
    "vocab.json": [HuggingFaceTokenizer, in_folder(load_tokenizer, "merges.txt")],
}


@pytest.mark.parametrize(("content", "words"), [(LFS, "Git LFS pointer.*git lfs pull"), (PAGE, "web page.*Download")])
@pytest.mark.parametrize("name", READERS)
def test_what_every_reader_says(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    for read in READERS[name]:
        path.write_bytes(content)
        with pytest.raises(CheckpointFormatError, match=words) as caught:
            read(path)
        assert str(path) in str(caught.value), f"{read}: {caught.value}"
