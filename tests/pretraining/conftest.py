"""A small corpus, a tokenizer and shards, shared by the tests of pre-training."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bert4keras2.pretraining.tokenize import tokenize_corpus
from bert4keras2.pretraining.vocabulary import count_words, make_vocabulary
from bert4keras2.tokenizers import Tokenizer

SUBJECTS = ["小明", "老师", "这家公司", "科学家", "邻居", "医生", "图书馆", "那只猫"]
VERBS = ["喜欢", "研究", "发现", "整理", "讨论", "打算购买", "忘记了", "介绍"]
OBJECTS = ["新的手机", "一本历史书", "天气预报", "苹果和香蕉", "火车时刻表", "Python 3.12", "周末的比赛", "古老的地图"]


def passage(random: np.random.Generator, sentences: int) -> str:
    """Return sentences by chance."""
    parts = (random.choice(words) + random.choice(VERBS) + random.choice(OBJECTS) for words in [SUBJECTS] * sentences)
    return "".join(f"{part}。" for part in parts)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A file of 400 passages of one to eight sentences."""
    random = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("corpus") / "texts.txt"
    path.write_text("\n".join(passage(random, int(random.integers(1, 9))) for _ in range(400)), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def groups(tmp_path_factory):
    """A file of 60 groups of texts that say the same."""
    random = np.random.default_rng(1)
    path = tmp_path_factory.mktemp("groups") / "groups.jsonl"
    rows = ({"text": passage(random, 1), "similar": [passage(random, 1) for _ in range(2)]} for _ in range(60))
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tokenizer(corpus):
    """A tokenizer of the corpus' characters."""
    return Tokenizer(
        make_vocabulary(count_words(corpus.read_text(encoding="utf-8").split("\n")), 300, characters=1.0),
        do_lower_case=True,
    )


@pytest.fixture(scope="session")
def shards(corpus, tokenizer, tmp_path_factory):
    """The corpus in tokens."""
    return tokenize_corpus(corpus, tokenizer, tmp_path_factory.mktemp("shards"), progress=False)


@pytest.fixture(scope="session")
def group_shards(groups, tokenizer, tmp_path_factory):
    """The groups in tokens."""
    folder = tmp_path_factory.mktemp("group_shards")
    return tokenize_corpus(groups, tokenizer, folder, progress=False, group_field="similar")
