"""What tests of tasks share: a tiny checkpoint in a folder, and rows that a tiny model learns in a few steps."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from bert4keras2.models import build_transformer_model
from bert4keras2.tokenizers import save_vocab

# Heads that differ in what NumPy does of their outputs alone, or in nothing that a backend computes.
once = pytest.mark.eager

FOOD, HEALTH = "火锅汤底太咸米饭面条", "感冒发烧头痛咳嗽医生"
OTHER = "这家店的很今天我去了和人地点北京上海小明老师在呢吗？，。abc"
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(FOOD + HEALTH + OTHER)]
SIZES = {
    "vocab_size": len(TOKENS),
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
    "initializer_range": 0.1,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "model_type": "bert",
}


def write_checkpoint(folder: Path, **options) -> Path:
    """Write a tiny BERT with a pooler, as a Hugging Face folder with vocab.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(1)
    bert = build_transformer_model({**SIZES, **options}, with_pool=True, return_keras_model=False)
    bert.save_pretrained(folder)
    save_vocab(folder / "vocab.txt", {token: i for i, token in enumerate(TOKENS)})
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}), encoding="utf-8")
    return folder


def topics(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Return (text, label) rows of food and health."""
    random = np.random.RandomState(seed)
    rows = []
    for index in range(count):
        words, label = ((FOOD, "美食"), (HEALTH, "健康"))[index % 2]
        size = random.randint(3, 12)
        text = "".join(random.choice(list(words if random.rand() < 0.6 else OTHER[:12])) for _ in range(size))
        rows.append((words[random.randint(len(words))] + text, label))
    return rows
