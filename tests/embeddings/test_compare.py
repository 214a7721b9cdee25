"""Cosines, whitening and search against what they are by definition."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras2.embeddings import Whitening, rank_by_similarity, search, similarity, whitening

pytestmark = pytest.mark.backend
RANDOM = np.random.RandomState(0)
MIXED = RANDOM.standard_normal((300, 12)) @ RANDOM.standard_normal((12, 12)) + 5 * RANDOM.standard_normal(12)


def test_similarity():
    a, b = MIXED[:4], MIXED[4:9]
    expected = [[x @ y / np.sqrt(x @ x) / np.sqrt(y @ y) for y in b] for x in a]
    found = similarity(a, b)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(np.diag(similarity(a)), 1, atol=1e-6)
    assert similarity(a[0], b).shape == (1, 5)
    assert similarity(np.zeros(3), np.ones(3)).tolist() == [[0]]
    with pytest.raises(ValueError, match="a has vectors of 12 numbers, b of 3"):
        similarity(a, np.ones((2, 3)))
    with pytest.raises(ValueError, match="b holds vectors"):
        similarity(a, [])


@pytest.mark.parametrize("k", [None, 12, 5])
def test_whitening_gives_identity_covariance(k):
    found = whitening(MIXED, k)(MIXED, normalize=False)
    width = k or 12
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(np.cov(found.T), np.eye(width), atol=1e-4)
    assert np.abs(np.cov(MIXED.T) - np.eye(12)).max() > 1


def test_whitening_keeps_the_largest_directions():
    values, directions = np.linalg.eigh(np.cov(MIXED.T))
    kernel = whitening(MIXED, 3).kernel
    expected = (directions / np.sqrt(values))[:, ::-1][:, :3]
    np.testing.assert_allclose(np.abs(kernel), np.abs(expected), atol=1e-5)
    unit = whitening(MIXED, 3)(MIXED[0])
    assert unit.shape == (3,) and abs(np.linalg.norm(unit) - 1) < 1e-5
    np.testing.assert_allclose(whitening(MIXED, 3).bias, -MIXED.mean(0), atol=1e-5)


def test_whitening_file(tmp_path):
    fitted = whitening(MIXED, 4)
    path = tmp_path / "white"  # no suffix is added
    fitted.save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["white"]
    np.testing.assert_array_equal(Whitening.load(path)(MIXED), fitted(MIXED))
    with pytest.raises(FileNotFoundError):
        Whitening.load(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", x=1)
    (tmp_path / "text.npz").write_text("no zip")
    np.save(tmp_path / "array.npy", np.zeros(3))
    for name in ("other.npz", "text.npz", "array.npy"):
        with pytest.raises(ValueError, match=f"{name} is not a whitening"):
            Whitening.load(tmp_path / name)


@pytest.mark.parametrize(
    ("vectors", "k", "message"),
    [
        (MIXED, 13, "from 1 to 12"),
        (MIXED, 0, "from 1 to 12"),
        (MIXED, 2.5, "from 1 to 12"),
        (MIXED[:12], None, "12 vectors are too few for 12 dimensions: give at least 13"),
        (MIXED[:5], 5, "too few"),
        (MIXED[0], None, r"\(N, D\)"),
        (np.repeat(MIXED[:4], 50, axis=0), 6, "vary in 3 dimensions only"),
        (np.ones((20, 2)), None, "vary in 0 dimensions"),
        (MIXED * np.nan, 3, "NaN"),
    ],
)
def test_whitening_bad_input(vectors, k, message):
    with pytest.raises(ValueError, match=message):
        whitening(vectors, k)


def test_whitening_shapes():
    with pytest.raises(ValueError, match="do not fit"):
        Whitening(np.eye(3), np.zeros(2))
    with pytest.raises(ValueError, match=r"takes \(N, 12\) vectors"):
        whitening(MIXED, 3)(np.ones((2, 5)))
    whitening(MIXED[:6], 5)  # one more than dimensions is enough


@pytest.mark.parametrize("metric", ["cosine", "dot"])
@pytest.mark.parametrize("block", [1, 40, 1 << 22])
@pytest.mark.parametrize("top_k", [1, 7, 300, 1000])
def test_search_equals_brute_force(metric, block, top_k, monkeypatch):
    monkeypatch.setattr("bert4keras2.embeddings.compare.BLOCK", block)
    queries = RANDOM.standard_normal((5, 12))
    everything = similarity(queries, MIXED) if metric == "cosine" else (queries @ MIXED.T).astype("float32")
    k = min(top_k, 300)
    scores, indices = search(queries, MIXED, top_k, metric)
    assert scores.shape == indices.shape == (5, k) and scores.dtype == np.float32
    order = np.argsort(-everything, axis=1)[:, :k]
    near = {"atol": 1e-4 if metric == "dot" else 1e-6}
    np.testing.assert_allclose(scores, np.take_along_axis(everything, order, 1), **near)
    # Two vectors that are as near but for rounding may change places: products of blocks sum in another order.
    np.testing.assert_allclose(scores, np.take_along_axis(everything, indices, 1), **near)
    assert all(len(set(row)) == k for row in indices.tolist())
    assert np.all(np.diff(scores) <= 0)
    one = search(queries[0], MIXED, top_k, metric)
    assert one[0].shape == (k,)
    np.testing.assert_array_equal(one[1], indices[0])


@pytest.mark.parametrize("block", [1, 3, 8, 1 << 22])
def test_search_ties_come_in_order(block, monkeypatch):
    monkeypatch.setattr("bert4keras2.embeddings.compare.BLOCK", block * 2)
    matrix = np.array([[0, 1], [1, 0], [1, 0], [0, 1], [1, 0], [1, 0], [1, 0]], "float32")
    for k in range(1, 8):
        scores, indices = search(np.array([[1.0, 0.0]]), matrix, k, "dot")
        assert indices[0].tolist() == [1, 2, 4, 5, 6, 0, 3][:k]
        assert scores[0].tolist() == [1, 1, 1, 1, 1, 0, 0][:k]


def test_search_many_queries_and_mapped_file(tmp_path):
    matrix = MIXED.astype("float16")
    np.save(tmp_path / "matrix.npy", matrix)
    mapped = np.load(tmp_path / "matrix.npy", mmap_mode="r")
    queries = RANDOM.standard_normal((2100, 12)).astype("float32")
    _, indices = search(queries, mapped, 1)
    np.testing.assert_array_equal(indices[:, 0], similarity(queries, matrix).argmax(1))


def test_search_bad_input():
    for queries, matrix, options, message in [
        (MIXED[0], MIXED, {"metric": "l2"}, "metric is 'cosine' or 'dot'"),
        (MIXED[0], MIXED, {"top_k": 0}, "top_k=0"),
        (MIXED[0], MIXED[0], {}, "matrix is an array"),
        (MIXED[0], np.zeros((0, 12)), {}, "matrix is an array"),
        (MIXED[0], MIXED[:, :3], {}, "queries has vectors of 12 numbers, matrix of 3"),
        (MIXED[0] * np.nan, MIXED, {}, "NaN"),
        (MIXED[0], np.where(MIXED > 9, np.nan, MIXED), {}, "NaN"),
    ]:
        with pytest.raises(ValueError, match=message):
            search(queries, matrix, **options)


class Lengths:
    """An encoder for which texts of similar length are alike."""

    def encode(self, texts):
        self.texts = list(texts)
        return np.array([[np.cos(len(text) / 10), np.sin(len(text) / 10)] for text in texts], "float32")


def test_rank_by_similarity():
    encoder = Lengths()
    found = rank_by_similarity(encoder, "aaa", ["b", "aaaa", "aaa", "b", "bbbbbbbb", "cccc"])
    assert [text for text, _ in found] == ["aaaa", "cccc", "b", "bbbbbbbb"]
    np.testing.assert_allclose([score for _, score in found], np.cos([0.1, 0.1, 0.2, 0.5]), atol=1e-6)
    assert encoder.texts == ["aaa", "b", "aaaa", "bbbbbbbb", "cccc"], "each text is encoded once"
    assert rank_by_similarity(encoder, "a", ["a", "a"]) == []
    assert all(type(score) is float for _, score in found)
    for text, candidates, message in [(3, [], "text is a str"), ("a", "b", "one str"), ("a", [1], r"candidates\[0\]")]:
        with pytest.raises(TypeError, match=message):
            rank_by_similarity(encoder, text, candidates)
