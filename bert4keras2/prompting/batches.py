"""Rows of ids with what else a model takes, as padded batches of similar length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bert4keras2.snippets.sequences import round_up, sequence_padding

__all__ = ["arrays", "batches"]

# What ends each input's rows.
INPUTS = ("Input-Token", "Input-Segment", "Input-Position", "Input-Hidden")


def arrays(
    rows: Sequence[dict[str, list[int]]], names: Sequence[str], pad: int, longest: int, hidden_multiple: int = 1
) -> list[np.ndarray]:
    """Return the arrays of rows that a model takes.

    Args:
        rows: {name of an input: its row}; segments are 0 and positions 0, 1, 2... where a row does not say.
        names: of the model's inputs.
        pad: id of padding.
        longest: length that is not exceeded by rounding up.
        hidden_multiple: of the number of hidden places; while their number varies, a larger one means fewer shapes.
    """
    length = max(len(row["Input-Token"]) for row in rows)
    length = max(min(round_up(length, 16), longest), length)
    found = []
    for name in names:
        key = next(key for key in INPUTS if name.endswith(key))
        if key == "Input-Hidden":
            hidden = [row[key] for row in rows]
            found.append(sequence_padding(hidden, length=round_up(max(1, *map(len, hidden)), hidden_multiple)))
            continue
        if key == "Input-Position":
            given = [[*row.get(key, range(len(row["Input-Token"])))] for row in rows]
            # What pads a row stands at places of its own, as in rows without positions.
            given = [[*row, *range(len(row), length)] for row in given]
        else:
            given = [row.get(key) or [0] * len(row["Input-Token"]) for row in rows]
        found.append(sequence_padding(given, length=length, value=pad if key == "Input-Token" else 0))
    return [array.astype("int32") for array in found]


def batches(
    rows: Sequence[dict[str, list[int]]], names: Sequence[str], pad: int, longest: int, size: int, by_shape: bool
) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """Yield (row numbers, arrays) of batches, longest rows first.

    Args:
        rows, names, pad, longest: see `arrays`.
        size: rows of a batch.
        by_shape: whether each new shape costs a compilation: batches are then filled up with copies of a row.
    """
    order = np.argsort([-len(row["Input-Token"]) for row in rows], kind="stable")
    for start in range(0, len(order), size):
        part = order[start : start + size]
        filled: Any = [*part, *[part[0]] * (size - len(part))] if by_shape else part
        yield part, arrays([rows[i] for i in filled], names, pad, longest)
