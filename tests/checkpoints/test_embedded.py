"""The models in the package: found by their names without a network, small enough, and they know some Chinese."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bert4keras2.checkpoints.finding import resolve as finding
from bert4keras2.checkpoints.finding.advice import not_found
from bert4keras2.checkpoints.finding.embedded import embedded_models
from bert4keras2.checkpoints.finding.resolve import resolve
from bert4keras2.checkpoints.formats.safetensors import SafetensorsReader
from bert4keras2.decoders import Generator, gen_synonyms
from bert4keras2.embeddings import SentenceEncoder, rank_by_similarity, similarity
from bert4keras2.models import build_transformer_model
from bert4keras2.tokenizers import load_tokenizer

NAME = "tiny-zh"
WRITER = "tiny-zh-sim"
# A sentence, one that means much the same, and one of the same length that does not.
TRIPLES = [
    ("周末想出去走走", "外面天气真好，想去公园", "这家店的火锅太咸了"),
    ("怎么修改登录密码", "密码忘了如何重置", "明天会不会下雨"),
    ("股市今天大跌", "基金净值又缩水了", "宝宝几个月可以吃辅食"),
    ("这部电影太好看了", "剧情精彩，值得二刷", "快递三天了还没有发货"),
]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(finding, "download", refuse)


@pytest.mark.parametrize("name", [NAME, WRITER])
def test_what_is_there(name):
    folder = Path(embedded_models()[name])
    files = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json", "README.md"} <= set(files)
    assert sum(files.values()) <= 12 * 2**20, "what a wheel may have of it"
    with SafetensorsReader(folder / "model.safetensors") as reader:
        assert {reader.dtype(name) for name in reader.names()} == {"float16"}


def test_a_folder_of_that_name_wins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve(NAME) == embedded_models()[NAME]
    (tmp_path / NAME).mkdir()
    assert resolve(NAME) == NAME
    assert "tiny-zh" in not_found("tiny_zh") and "Did you mean 'tiny-zh'?" in not_found("tinyzh")


@pytest.mark.backend
def test_vectors_know_what_is_alike():
    encoder = SentenceEncoder.load(NAME)
    # Half of the mean of all vectors is in each, which lifts all cosines: distances are compared without it.
    vectors = encoder.encode([text for triple in TRIPLES for text in triple])
    vectors = (vectors - vectors.mean(0)).reshape(len(TRIPLES), 3, -1)
    for triple, (text, alike, other) in zip(TRIPLES, vectors, strict=True):
        near, far = similarity(text, np.stack([alike, other]))[0]
        assert near > far + 0.2, (triple, near, far)
    texts = [alike for _, alike, _ in TRIPLES]
    for text, alike, _ in TRIPLES:
        assert rank_by_similarity(encoder, text, texts)[0][0] == alike


@pytest.mark.backend
def test_hidden_words_are_told():
    tokenizer = load_tokenizer(NAME, never_split=["[MASK]"])
    model = build_transformer_model(NAME, with_mlm=True)
    # Words were hidden whole: so they are here.
    for text, expected in [
        ("电脑[MASK][MASK]很快", "速度"),
        ("酒店的[MASK][MASK]态度很差", "服务"),
        ("他在[MASK][MASK]取钱", "里"),
    ]:
        ids, segments = tokenizer.encode_batch([text])
        places = np.flatnonzero(ids[0] == tokenizer.mask_id)[-len(expected) :]
        best = model.predict([ids, segments], verbose=0)[0, places].argsort(-1)[:, ::-1][:, :5]
        for token, found in zip(expected, best, strict=True):
            assert token in tokenizer.ids_to_tokens(found.tolist()), text


@pytest.mark.backend
def test_questions_that_ask_the_same(recwarn):
    """What is written says the same in other words, and vectors of one model rank it."""
    tokenizer = load_tokenizer(WRITER)
    model = build_transformer_model(WRITER, application="unilm", with_pool=True)
    assert not [warning for warning in recwarn if "pooler" in str(warning.message)]
    generator, encoder = Generator(model, tokenizer), SentenceEncoder(model, tokenizer, pooling="pooler")
    text = "怎么才能学好英语"
    beams = generator.generate(text, 16, strategy="beam", num_beams=4, num_return=4)
    assert "如何才能学好英语" in [one.text for one in beams]
    found = gen_synonyms(generator, encoder, text, n=20, k=3, max_new_tokens=16, seed=0)
    assert len(found) == 3 and all("英" in other and 0.9 < score < 1 for other, score in found)
    vectors = encoder.encode([text for triple in TRIPLES for text in triple]).reshape(len(TRIPLES), 3, -1)
    for text, alike, other in vectors:
        near, far = similarity(text, np.stack([alike, other]))[0]
        assert near > far


def test_its_folder_says_what_it_is_for():
    result = Generator.load(WRITER).generate("这部电影好看吗", 16)
    assert "电影好看" in result.text and result.finish_reason == "end"
