"""The filters of one step of sampling, against their definitions written out in plain Python."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras2.decoders.classic import filters as samplers
from bert4keras2.decoders.classic.filters import (
    beyond_nucleus,
    draw,
    largest,
    min_p_filter,
    no_repeat_ngram,
    repetition_penalty,
    top_k_filter,
    top_p_filter,
)

INF = float("inf")
LOGITS = np.random.RandomState(0).standard_normal((4, 9)) * 2


def kept(filtered):
    return [set(np.flatnonzero(row > -INF)) for row in filtered]


def test_kept_logits_do_not_change():
    before = LOGITS.copy()
    ids = np.zeros((4, 2), int)
    for result in (
        top_k_filter(LOGITS, 3),
        top_p_filter(LOGITS, 0.7),
        min_p_filter(LOGITS, 0.1),
        no_repeat_ngram(LOGITS, ids, 1),
    ):
        assert (result == -INF).any() and ((result == LOGITS) | (result == -INF)).all()
    repetition_penalty(LOGITS, ids, 2.0)
    np.testing.assert_array_equal(LOGITS, before)


@pytest.mark.parametrize("k", [1, 3, 9, 20])
def test_top_k(k):
    assert kept(top_k_filter(LOGITS, k)) == [set(np.argsort(row)[-k:]) for row in LOGITS]


def test_top_k_keeps_ties():
    assert kept(top_k_filter([[1, 3, 2, 2, 0]], 2)) == [{1, 2, 3}]


@pytest.mark.parametrize("p", [0.05, 0.5, 0.9, 1.0])
def test_top_p(p):
    for row, found in zip(LOGITS, kept(top_p_filter(LOGITS, p)), strict=True):
        probas = np.exp(row) / np.exp(row).sum()
        expected, mass = set(), 0
        for token in np.argsort(-row):
            if mass >= p:
                break
            expected.add(token)
            mass += probas[token]
        assert found == expected


def test_top_p_ties_take_the_lower_ids():
    assert kept(top_p_filter([[0.0, 0.0, 0.0, 0.0]], 0.5)) == [{0, 1}]


@pytest.mark.parametrize("p", [0.01, 0.3, 1.0])
def test_min_p(p):
    expected = [set(np.flatnonzero(np.exp(row) >= p * np.exp(row.max()))) for row in LOGITS]
    assert kept(min_p_filter(LOGITS, p)) == expected


def test_repetition_penalty():
    logits = np.array([[1.0, -1.0, 2.0, -2.0], [1.0, -1.0, 2.0, -2.0]])
    found = repetition_penalty(logits, [[0, 1, 0], [3, -1, -1]], 2.0)
    np.testing.assert_array_equal(found, [[0.5, -2.0, 2.0, -2.0], [1.0, -1.0, 2.0, -4.0]])
    np.testing.assert_array_equal(repetition_penalty(logits, [[0, 1], [2, 3]], 1), logits)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_no_repeat_ngram(n):
    """A token is forbidden exactly where appending it would make an n-gram occur twice."""
    random = np.random.RandomState(n)
    ids = random.randint(0, 3, (40, 7))
    found = kept(no_repeat_ngram(np.zeros((40, 3)), ids, n))
    for row, allowed in zip(ids.tolist(), found, strict=True):
        grams = [tuple(row[i : i + n]) for i in range(len(row) - n + 1)]
        assert allowed == {token for token in range(3) if tuple([*row, token][-n:]) not in grams}


def test_no_repeat_ngram_short_and_padded():
    logits = np.zeros((2, 4))
    assert kept(no_repeat_ngram(logits, np.zeros((2, 0), int), 2)) == [{0, 1, 2, 3}] * 2
    assert kept(no_repeat_ngram(logits, [[1, 2, 1], [1, 2, -1]], 2)) == [{0, 1, 3}, {0, 1, 2, 3}]


def test_filters_chain():
    """-inf from one filter is no probability for the next, and softmax gives it 0."""
    chained = top_p_filter(top_k_filter(LOGITS, 4), 0.8)
    probas = samplers.softmax(chained)
    assert all(1 <= len(row) <= 4 for row in kept(chained))
    np.testing.assert_allclose(probas.sum(axis=1), 1)
    assert (probas[chained == -INF] == 0).all()


def test_draw_is_numpys_choice():
    """The same seed gives what np.random.choice gives row by row, and leaves the generator in the same state."""
    probas = np.random.RandomState(1).dirichlet(np.full(30, 0.3), 200)
    np.random.seed(5)
    expected = [np.random.choice(30, p=row) for row in probas]
    following = np.random.rand()
    np.random.seed(5)
    np.testing.assert_array_equal(draw(probas), expected)
    assert np.random.rand() == following
    assert (draw([[0, 0, 1.0, 0]] * 50) == 2).all()


def test_largest_and_nucleus():
    assert sorted(largest([0.1, 0.5, 0.4], 2)) == [1, 2]
    assert sorted(largest([[0.1, 0.5, 0.4]], 7)[0]) == [0, 1, 2]
    assert beyond_nucleus([[0.5, 0.3, 0.2]], 0.5).tolist() == [[False, True, True]]
    assert beyond_nucleus([[0.5, 0.3, 0.2]], 0.6).tolist() == [[False, False, True]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: top_k_filter(LOGITS, 0), "k must be a whole number of at least 1, not 0"),
        (lambda: top_p_filter(LOGITS, 0), r"p must be in \(0, 1\], not 0"),
        (lambda: min_p_filter(LOGITS, 1.5), r"p must be in \(0, 1\], not 1.5"),
        (lambda: repetition_penalty(LOGITS, np.zeros((4, 1), int), 0), "penalty must be a number greater than 0"),
        (lambda: repetition_penalty(LOGITS, np.zeros((3, 1), int), 2), r"B = 4 as the logits, not \(3, 1\)"),
        (lambda: repetition_penalty(LOGITS, np.full((4, 1), 9), 2), "ids hold 9, but the logits are of 9 tokens"),
        (lambda: no_repeat_ngram(LOGITS, np.zeros((4, 1), int), 0), "n must be a whole number of at least 1, not 0"),
        (lambda: top_k_filter([1.0], 1), r"logits must have the shape \(B, V\) with V >= 1, not \(1,\)"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
