"""Beginnings that are read once: the same texts from fewer tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import build
from keras import ops

from bert4keras2.decoders import Generator
from bert4keras2.models.transformer import Transformer

BEGIN, RESTS = [2, 7, 5, 9, 31, 7, 12, 6, 30, 21], [[4, 8], [9, 11, 0, 13, 5]]
WHOLE = [BEGIN + rest for rest in RESTS]
# A table of positions, rotary ones, and distances whose vectors depend on where keys stand.
FAMILIES = ["bert-lm", *(pytest.param(name, marks=pytest.mark.long) for name in ("roformer-lm", "nezha-lm"))]


@pytest.fixture(scope="module", params=FAMILIES)
def generator(request) -> Generator:
    return Generator(build(request.param, max_position_embeddings=36), end_id=3)


def equal(found: list[Any], expected: list[Any]) -> bool:
    ids = [one.ids for one in found] == [one.ids for one in expected]
    return ids and bool(np.allclose([one.score for one in found], [one.score for one in expected], atol=1e-4))


@pytest.mark.backend
def test_the_same_texts_from_fewer_tokens(generator, monkeypatch):
    """Traced programs and eager ones both show how many tokens go through the model."""
    seen = []
    run = Transformer.run

    def counted(self, context, inputs, **kwargs):
        seen.append(tuple(inputs[0].shape))
        return run(self, context, inputs, **kwargs)

    monkeypatch.setattr(Transformer, "run", counted)
    prefix = generator.prefix(BEGIN)
    found = generator.generate(RESTS, 5, prefix=prefix)
    # 10 tokens of the beginning in one row; then 2 rows of 16 positions without these.
    assert seen[:2] == [(1, 10), (2, 6)]
    assert all(shape == (2, 1) for shape in seen[2:])
    del seen[:]
    generator.generate(RESTS, 5, prefix=prefix)
    assert (1, 10) not in seen
    monkeypatch.undo()
    assert equal(found, generator.generate(WHOLE, 5))


@pytest.mark.backend
def test_other_weights():
    """A change of one weight is noticed, and the beginning is read again."""
    generator = Generator(build("bert-lm"), end_id=())
    prefix = generator.prefix(BEGIN)
    generator.generate(RESTS[0], 4, prefix=prefix)
    kept = prefix.cache()
    assert prefix.cache() is kept
    kernel = next(v for v in generator.engine.transformer.model.weights if "0-FeedForward/i0_dense/kernel" in v.path)
    old = np.array(ops.convert_to_numpy(kernel))
    kernel.assign(old + 3.0 * (np.arange(old.size).reshape(old.shape) == 5))
    assert prefix.cache() is not kept
    assert equal([generator.generate(RESTS[0], 4, prefix=prefix)], [generator.generate(WHOLE[0], 4)])


@pytest.mark.parametrize("generator", ["bert-lm"], indirect=True)
def test_samples_beams_drafts_streams_and_scores(generator):
    prefix = generator.prefix(BEGIN)
    sampling = {"strategy": "sample", "seed": 3, "num_return": 2}
    for options in (sampling, {"strategy": "beam", "num_beams": 2, "num_return": 2, "no_repeat_ngram": 2}):
        expected = generator.generate(WHOLE, 4, **options)
        found = generator.generate(RESTS, 4, prefix=prefix, **options)
        assert all(equal(a, b) for a, b in zip(found, expected, strict=True))
    expected = generator.generate(WHOLE, 6)
    assert equal(generator.generate(RESTS, 6, prefix=prefix, draft="ngram"), expected)
    candidates = [[[5, 6], [7]], [[8]]]
    found, expected = generator.score(RESTS, candidates, prefix=prefix), generator.score(WHOLE, candidates)
    assert all(np.allclose(a, b, atol=1e-4) for a, b in zip(found, expected, strict=True))


def test_texts():
    """What follows a prefix has no start token of its own; maxlen counts both."""
    from test_generator import deterministic, tokenizer

    own = Generator(deterministic(), tokenizer(), end_id=())
    prefix = own.prefix("今天天气很好")
    assert own.generate("我们去", 4, prefix=prefix).ids == own.generate("今天天气很好我们去", 4).ids
    pieces = "".join(own.stream("我们去", 4, prefix=prefix))
    assert pieces == own.generate("我们去", 4, prefix=prefix).text
    short = Generator(deterministic(), tokenizer(), end_id=(), maxlen=9)
    cut = short.generate("我们去公园吃饭", 4, prefix=short.prefix("今天天气很好"))
    assert cut.ids == own.generate("今天天气很好我们", 4).ids
    with pytest.raises(ValueError, match="Nothing of the text"):
        own.generate("", 4, prefix=prefix)
    with pytest.raises(ValueError, match="knows 40 positions"):
        own.generate([5] * 33, 4, prefix=prefix)
    with pytest.raises(ValueError, match="same model"):
        Generator(build("bert-lm")).generate([5], 4, prefix=prefix)
    for name in ("bert-unilm", "t5.1.1", "gpt2-conditional"):
        with pytest.raises(ValueError, match="beginning"):
            Generator(build(name)).prefix(BEGIN)
