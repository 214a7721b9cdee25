"""The tokenizer of a checkpoint's folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bert4keras2.models import build_transformer_model
from bert4keras2.tokenizers import SpTokenizer, Tokenizer, load_tokenizer

SIZES = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "A", "我"]


def folder(path: Path, rows: int = len(TOKENS)) -> Path:
    """Fill a folder as released checkpoints are."""
    (path / "bert_config.json").write_text(json.dumps({**SIZES, "vocab_size": rows}))
    bert = build_transformer_model({**SIZES, "vocab_size": rows}, return_keras_model=False)
    bert.save_weights_as_checkpoint(path / "model.safetensors")
    return path


def test_wordpiece(tmp_path):
    folder(tmp_path).joinpath("vocab.txt").write_text("\n".join(TOKENS), encoding="utf-8")
    tokenizer = load_tokenizer(tmp_path)
    assert isinstance(tokenizer, Tokenizer) and tokenizer.encode("A我")[0] == [2, 5, 7, 3]
    assert load_tokenizer(tmp_path, do_lower_case=False).encode("A")[0] == [2, 6, 3]
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    assert load_tokenizer(tmp_path).encode("A")[0] == [2, 6, 3]


def test_larger_vocabulary_than_model(tmp_path):
    folder(tmp_path, rows=6).joinpath("vocab.txt").write_text("\n".join(TOKENS), encoding="utf-8")
    with pytest.raises(ValueError, match="8 tokens, .* 6 embeddings"):
        load_tokenizer(tmp_path)


def test_no_vocabulary(tmp_path):
    with pytest.raises(FileNotFoundError, match="neither a vocab.txt nor a SentencePiece"):
        load_tokenizer(folder(tmp_path))


def test_sentencepiece(shared):
    tokenizer = load_tokenizer(shared / "checkpoints" / "me5_small_zh")
    assert isinstance(tokenizer, SpTokenizer)
    ids, _ = tokenizer.encode("query: 今天天气不错")
    assert ids[0] == 2 and ids[-1] == 3
