"""What losses share whose rows belong together: rows 0 to k - 1 of a batch are its first group, and so on."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

__all__ = ["GroupLoss", "cosines", "crossentropy", "units"]


class GroupLoss(keras.losses.Loss):
    """Base of losses of vectors (B, D) whose rows come in groups.

    The rows of a group have the same label: the number of the group, or what the loss learns. `fit` looks at that, so
    that rows which were shuffled one by one are an error and not a model that learns nonsense.

    Attributes:
        size: rows of a group.
    """

    size = 2

    def group_problem(self, labels: np.ndarray) -> str | None:
        """Return what keeps labels (B,) or (B, 1) from being those of whole groups, None if nothing does."""
        rows, size = len(labels), self.size
        if rows % size:
            return f"{self.name} learns from groups of {size} rows that follow one another, but got {rows} rows"
        by_group = labels.reshape(rows // size, size, -1)
        apart = (by_group != by_group[:, :1]).any(axis=(1, 2))
        if not apart.any():
            return None
        first = int(np.argmax(apart)) * size
        there = ", ".join(f"{value:g}" for value in labels.reshape(rows, -1)[first : first + size, 0])
        return (
            f"{self.name} learns from groups of {size} rows that follow one another and have one label, but rows"
            f" {first} to {first + size - 1} have the labels {there}: were rows shuffled one by one? Shuffle groups, as"
            " bert4keras2.embeddings.GroupRows does"
        )

    def grouped(self, vectors: Any) -> Any:
        """Return vectors (B, D) as (groups, size, D) in float32."""
        return ops.reshape(ops.cast(vectors, "float32"), (-1, self.size, vectors.shape[-1]))


def units(vectors: Any) -> Any:
    """Return vectors (..., D) of length 1 in float32."""
    return ops.normalize(ops.cast(vectors, "float32"), axis=-1)


def cosines(a: Any, b: Any) -> Any:
    """Return (N, M): the cosines of a (N, D) and b (M, D)."""
    return ops.matmul(units(a), ops.transpose(units(b)))


def crossentropy(scores: Any, right: Any) -> Any:
    """Return (N,) cross entropies of scores (N, M) and the columns (N,) that are right."""
    chosen = ops.take_along_axis(scores, ops.expand_dims(right, -1), axis=-1)[:, 0]
    return ops.logsumexp(scores, axis=-1) - chosen
