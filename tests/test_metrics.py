"""Measures against cases computed by hand, and against formulas that are written another way."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from bert4keras2.metrics import (
    accuracy,
    confusion,
    exact_match,
    macro_f1,
    matthews,
    multilabel_f1,
    reached_by_luck,
    reading_scores,
    rouge_l,
    span_f1,
    spearman,
)

TRUE = ["a", "a", "a", "b", "b", "c"]
FOUND = ["a", "a", "b", "b", "c", "c"]


def test_classes():
    assert accuracy(TRUE, FOUND) == pytest.approx(4 / 6)
    assert confusion(TRUE, FOUND, ["a", "b", "c"]).tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]
    # F1 of a: 2*2/(3+2), of b: 2*1/(2+2), of c: 2*1/(1+2).
    assert macro_f1(TRUE, FOUND) == pytest.approx((4 / 5 + 1 / 2 + 2 / 3) / 3)
    assert macro_f1(TRUE, FOUND, ["a", "d"]) == pytest.approx((4 / 5 + 0) / 2)
    # Two classes: 3 true positives, 2 true negatives, 1 false positive, 2 false negatives.
    assert matthews([1, 1, 1, 1, 1, 0, 0, 0], [1, 1, 1, 0, 0, 1, 0, 0]) == pytest.approx(
        (3 * 2 - 1 * 2) / math.sqrt(4 * 5 * 3 * 4)
    )
    assert matthews([1, 1, 0], [1, 1, 1]) == 0 and matthews(TRUE, TRUE) == pytest.approx(1)


def test_matthews_is_the_correlation_of_one_hot_vectors():
    """Gorodkin's definition, by covariances instead of counts."""
    draw = random.Random(1)
    for _ in range(20):
        true, found = ([draw.randrange(4) for _ in range(30)] for _ in range(2))
        x, y = (np.eye(4)[row] - np.eye(4)[row].mean(0) for row in (true, found))
        assert matthews(true, found) == pytest.approx((x * y).sum() / math.sqrt((x * x).sum() * (y * y).sum()))


def test_spearman():
    assert spearman([1, 2, 3, 4, 5], [10, 20, 40, 30, 50]) == pytest.approx(1 - 6 * 2 / (5 * 24))
    assert spearman([0.1, 0.2, 0.3], [3, 2, 1]) == pytest.approx(-1)
    # With ties: the ranks are 1.5 1.5 3 4 and 1 2.5 2.5 4; their correlation, by hand.
    a, b = np.array([1.5, 1.5, 3, 4]), np.array([1, 2.5, 2.5, 4])
    assert spearman([7, 7, 8, 9], [0, 1, 1, 5]) == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert math.isnan(spearman([1, 1, 1], [1, 2, 3]))
    with pytest.raises(ValueError, match="nan"):
        spearman([1.0, float("nan")], [1, 2])
    with pytest.raises(TypeError, match="numbers"):
        spearman(["1", "2"], ["1", "2"])


def test_several_labels():
    true = [{"甲", "乙"}, set(), {"丙"}]
    assert multilabel_f1(true, [{"甲"}, {"丁"}, ["丙"]]) == pytest.approx(2 * 2 / (3 + 3))
    assert multilabel_f1([set()], [set()]) == 1 and multilabel_f1(true, [set()] * 3) == 0
    with pytest.raises(TypeError, match="not the text '甲'"):
        multilabel_f1([{"甲"}], ["甲"])


def test_spans():
    true = [[(0, 2, "人"), (3, 5, "地")], [], [(1, 4, "人")]]
    found = [[(0, 2, "人"), (0, 2, "人"), (3, 6, "地")], [(0, 1, "机")], [(1, 4, "地")]]
    scores = span_f1(true, found)
    # One of four different spans is right, and one of three true ones is found.
    assert (scores["precision"], scores["recall"]) == (1 / 4, 1 / 3) and scores["f1"] == pytest.approx(2 / 7)
    assert scores["types"]["人"] == {"f1": pytest.approx(2 / 3), "precision": 1.0, "recall": 0.5, "support": 2}
    assert scores["types"]["机"] == {"f1": 0.0, "precision": 0.0, "recall": 0.0, "support": 0}
    assert list(scores["types"]) == sorted(scores["types"])
    assert span_f1([[]], [[]])["f1"] == 1 and span_f1([[]], [[(0, 1, "人")]])["f1"] == 0
    with pytest.raises(ValueError, match="spans of text 1"):
        span_f1([[], [(0, 2)]], [[], []])


def test_answers():
    assert reading_scores([["《红楼梦》。"]], ["红楼梦"]) == {"em": 1.0, "f1": 1.0}
    # "北京大学" and "在北京大学里": 4 characters in common; precision 4/6, recall 4/4.
    assert reading_scores([["北京大学"]], ["在北京大学里"]) == {"em": 0.0, "f1": pytest.approx(0.8)}
    # The best of two references; what is in common has no gap: of "一二九三" only "一二" counts.
    scores = reading_scores([["一二三", "九九"], ["X-Ray 2.5米"]], ["一二九三", "xray 2.5 米"])
    assert scores == {"em": 0.0, "f1": pytest.approx((2 * (2 / 4) * (2 / 3) / (2 / 4 + 2 / 3) + 1) / 2)}
    assert reading_scores([["1998年"]], ["1999年"])["f1"] == pytest.approx(0.5)  # a number is one piece
    assert reading_scores([["甲"]], [""]) == {"em": 0.0, "f1": 0.0}
    with pytest.raises(ValueError, match="question 0 has no reference"):
        reading_scores([[]], ["甲"])
    with pytest.raises(TypeError, match=r"such as \['甲'\]"):
        reading_scores(["甲"], ["甲"])


def test_texts():
    assert exact_match(["甲", "乙"], ["甲", "丙"]) == 0.5
    assert rouge_l(["今天 天气好"], ["今天好"]) == pytest.approx(2 * 3 / (5 + 3))


@pytest.mark.parametrize("measure", [accuracy, macro_f1, matthews, spearman])
def test_what_cannot_be_compared(measure):
    with pytest.raises(ValueError, match="2 predictions for 1 samples"):
        measure([1], [1, 2])
    with pytest.raises(ValueError, match="at least one"):
        measure([], [])
    with pytest.raises(ValueError, match="argmax"):
        measure([1, 0], [[0.1, 0.9], [0.8, 0.2]])
    with pytest.raises(TypeError, match="true holds texts and predicted holds numbers"):
        measure(["1", "0"], [1, 0])
    with pytest.raises(TypeError, match="not texts"):
        measure("10", "10")


def test_confusion_knows_its_labels():
    with pytest.raises(ValueError, match="predicted holds classes that are not in labels: c"):
        confusion(["a"], ["c"], ["a", "b"])


def test_reached_by_luck():
    """By the binomial distribution: 6 of 10 come with p = 0.0197 where a guess is right once in four, 7 with 0.0035."""
    assert [reached_by_luck(0.25, 10, tries) for tries in (1, 2, 3, 14, 15)] == [0.6, 0.6, 0.7, 0.7, 0.8]
    assert reached_by_luck(0.0, 18, 10) == 1 / 18 and reached_by_luck(0.5, 3) == 1.0
    with pytest.raises(ValueError, match=r"share must be in \[0, 1\], not 2"):
        reached_by_luck(2, 10)
