"""The best assignment of columns to rows: the algorithm of Kuhn and Munkres, with shortest augmenting paths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["best_assignment"]


def best_assignment(scores: Sequence[Sequence[float]] | np.ndarray) -> list[int]:
    """Return the column of each row, no column twice, with the highest sum of scores there is.

    Args:
        scores: of shape (rows, columns). If there are more rows than columns, rows that get none in the best
            assignment take the column of their own highest score, which is then used twice.

    Raises:
        ValueError: if the scores are no table, or one of them is not finite.
    """
    table = np.asarray(scores, dtype=float)
    if table.ndim != 2 or not table.size:
        raise ValueError(f"scores are to be a table of shape (rows, columns), not {table.shape}")
    if not np.isfinite(table).all():
        raise ValueError("scores must be finite: one is nan or infinite")
    if table.shape[0] > table.shape[1]:
        rows = _columns(-table.T)
        found = table.argmax(1).tolist()
        for column, row in enumerate(rows):
            found[row] = column
        return found
    return _columns(-table)


def _columns(costs: np.ndarray) -> list[int]:
    """Return the column of each row with the lowest sum of costs, for no more rows than columns.

    One row after the other is added. `row_price` and `column_price` are the dual variables: no reduced cost,
    costs - row_price - column_price, is below 0, and those of the assignment are 0 (Kuhn, Naval Research Logistics
    Quarterly 2, 1955; as shortest paths: Jonker and Volgenant, Computing 38, 1987).
    """
    rows, columns = costs.shape
    row_price, column_price = np.zeros(rows), np.zeros(columns)
    owner = np.full(columns, -1)  # the row that has a column
    for new in range(rows):
        distance, came_from = np.full(columns, np.inf), np.full(columns, -1)
        done = np.zeros(columns, dtype=bool)
        row, column, length = new, -1, 0.0
        while row >= 0:
            reach = length + costs[row] - row_price[row] - column_price
            shorter = ~done & (reach < distance)
            distance[shorter], came_from[shorter] = reach[shorter], column
            column = int(np.where(done, np.inf, distance).argmin())
            length, row = distance[column], owner[column]
            done[column] = True
        # Prices rise so that the edges of the path cost nothing, before the assignment moves along it.
        passed = done & (owner >= 0)
        row_price[owner[passed]] += length - distance[passed]
        row_price[new] += length
        column_price[done] -= length - distance[done]
        while column >= 0:
            before = came_from[column]
            owner[column] = new if before < 0 else owner[before]
            column = before
    found = [-1] * rows
    for column, row in enumerate(owner.tolist()):
        if row >= 0:
            found[row] = column
    return found
