"""The best assignment against all assignments, and the decoding of idioms line by line."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bert4keras2.clue import Blank, best_assignment, decode_idioms


def test_against_all_assignments():
    draw = np.random.default_rng(0)
    for _ in range(150):
        columns = int(draw.integers(1, 7))
        rows = int(draw.integers(1, columns + 1))
        # Small whole numbers make ties, normal ones make none.
        scores = draw.integers(-3, 4, (rows, columns)) if draw.random() < 0.5 else draw.normal(size=(rows, columns))
        found = best_assignment(scores)
        assert len(set(found)) == rows
        best = max(sum(scores[i][c] for i, c in enumerate(p)) for p in itertools.permutations(range(columns), rows))
        assert sum(scores[i][c] for i, c in enumerate(found)) == pytest.approx(best)


def test_large_tables_and_more_rows_than_columns():
    scores = np.random.default_rng(1).normal(size=(30, 30))
    found = best_assignment(scores)
    assert sorted(found) == list(range(30))
    # No exchange of two rows makes it better.
    total = scores[np.arange(30), found]
    for i, j in itertools.combinations(range(30), 2):
        assert scores[i][found[j]] + scores[j][found[i]] <= total[i] + total[j] + 1e-9
    assert best_assignment([[5, 1], [4, 0], [9, 8]]) == [0, 0, 1]  # 5 + 8; the row without one takes its best
    with pytest.raises(ValueError, match="finite"):
        best_assignment([[0.0, float("nan")]])
    with pytest.raises(ValueError, match="table"):
        best_assignment([])


def test_idioms_of_a_line_differ():
    def blank(name: str, group: int) -> Blank:
        return Blank(name, "前", "后", ("一帆风顺", "画蛇添足", "雪中送炭"), None, group)

    rows = [blank("a", 0), blank("b", 0), blank("c", 1)]
    scores = [[0.9, 0.8, 0.0], [0.9, 0.1, 0.0], [0.9, 0.0, 0.0]]
    assert [max(range(3), key=row.__getitem__) for row in scores] == [0, 0, 0]
    assert decode_idioms(rows, scores) == [1, 0, 0]  # 0.8 + 0.9 in the first line; the second line is free
    with pytest.raises(ValueError, match="blank a has 2 scores for 3 candidates"):
        decode_idioms(rows[:1], [[1, 2]])
