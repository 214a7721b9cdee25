"""Several texts in one row: the vectors of each by itself."""

from __future__ import annotations

import numpy as np
import pytest
from cases import build as build_case
from test_encoder import PAIRS, TEXTS, build, make_tokenizer

from bert4keras2.embeddings import SentenceEncoder

POOLINGS = ["mean", "cls", "max", "mean_sqrt_len", "weightedmean", "lasttoken", "first-last"]


def both(encoder: SentenceEncoder, pairs: list[str] | None = None) -> None:
    """Compare packed and padded rows."""
    expected = encoder.encode(TEXTS, pairs)
    np.testing.assert_allclose(encoder.encode(TEXTS, pairs, packed=True), expected, atol=1e-5)


@pytest.mark.backend
@pytest.mark.parametrize("family", ["bert", pytest.param("roformer", marks=pytest.mark.breadth)])
def test_packed_equals_padded(family):
    """A table of positions, and rotary ones; all poolings at once; texts of other lengths stand around each."""
    bert = build(model=family, with_pool=True)
    encoder = SentenceEncoder(bert, make_tokenizer(), pooling=[*POOLINGS, "pooler"], maxlen=32, batch_size=2)
    both(encoder)
    rows = []
    run = encoder._packing._function
    encoder._packing._function = lambda *arrays: rows.append(tuple(arrays[0].shape)) or run(*arrays)
    encoder.encode(TEXTS, packed=True)
    assert rows == [(1, 128)]  # ten texts in one row
    # Weights may change between calls.
    kernel = next(v for v in bert.model.weights if v.path.endswith("1-FeedForward/i0_dense/kernel"))
    kernel.assign(np.ones(kernel.shape, "float32") * 0.1)
    both(encoder)


def test_pairs_and_several_steps():
    encoder = SentenceEncoder(build(with_pool=True), make_tokenizer(), maxlen=60, batch_size=1)
    both(encoder, PAIRS)
    assert encoder.encode("火锅", packed=True).shape == (16,)


@pytest.mark.parametrize("name", ["nezha-encoder", "t5.1.1-encoder", "roformer-lm", "bert-positions", "bert-unilm"])
def test_families(name):
    """Distances, biases of distances, causal masks; UniLM; positions that are an input."""
    both(SentenceEncoder(build_case(name), make_tokenizer(), maxlen=20))


def test_options_of_length():
    both(SentenceEncoder(build_case("roformer-encoder", log_n={"type": "train", "length": 8}), make_tokenizer()))


def test_errors():
    with pytest.raises(ValueError, match="mask of pairs"):
        mixing = SentenceEncoder(build_case("bert-encoder", attention="linear"), make_tokenizer(), maxlen=20)
        mixing.encode(TEXTS, packed=True)
    bert = build(with_pool=True)
    with pytest.raises(ValueError, match="packed=True needs"):
        SentenceEncoder(bert, make_tokenizer(), output="Pooler-Dense").encode(TEXTS, packed=True)
