"""Rows of an embedding that learn while the others stay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from bert4keras2.layers.base import Layer, register

__all__ = ["PromptRows"]


@register
class PromptRows(Layer):
    """Vectors that stand in an embedding's table in the place of some rows (P-tuning, arXiv:2103.10385).

    Args:
        rows: the ids, n of them.
        total: ids of the table, V.
        width: of a vector, D.
        network: what makes the vectors of n others: None (nothing), "mlp" (two layers), "lstm" (one in both directions
            before these).
    """

    def __init__(self, rows: Sequence[int], total: int, width: int, network: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.rows, self.total, self.width, self.network = [int(row) for row in rows], total, width, network
        # 1 + its place among the rows for an id that is one of them, 0 for all others.
        self._slots = np.zeros(total, "int32")
        self._slots[self.rows] = np.arange(1, len(self.rows) + 1)

    def build(self, input_shape=None):
        self.table = self.add_weight(name="table", shape=(len(self.rows), self.width), initializer="zeros")
        if self.network == "lstm":
            lstm = keras.layers.LSTM(self.width // 2, name="lstm", return_sequences=True, dtype=self.dtype_policy)
            self.lstm = keras.layers.Bidirectional(lstm, name="lstm", dtype=self.dtype_policy)
            self.lstm.build((1, len(self.rows), self.width))
        if self.network is not None:
            self.hidden_dense = self.dense("hidden_dense", self.width, self.width, activation="relu")
            self.output_dense = self.dense("output_dense", self.width, self.width)
        self.built = True

    def call(self, inputs=None):
        """Return the vectors (n, D)."""
        x = ops.convert_to_tensor(self.table)
        if self.network == "lstm":
            x = self.lstm(ops.expand_dims(x, 0))[0]
        return x if self.network is None else self.output_dense(self.hidden_dense(x))

    def look_up(self, ids, vectors):
        """Return vectors (..., D) of ids (...), those of the table where an id is none of the rows."""
        own = ops.cast(self.call(), vectors.dtype)
        slots = ops.take(ops.convert_to_tensor(self._slots), ops.cast(ids, "int32"), axis=0)
        own = ops.take(ops.concatenate([ops.zeros_like(own[:1]), own], 0), slots, axis=0)
        return ops.where(ops.expand_dims(slots > 0, -1), own, vectors)

    def score(self, vectors, scores):
        """Return scores (..., V) of vectors (..., D) against all ids, given those against the table."""
        own = ops.matmul(vectors, ops.transpose(ops.cast(self.call(), vectors.dtype)))
        own = ops.concatenate([ops.zeros_like(own[..., :1]), own], -1)
        slots = ops.convert_to_tensor(self._slots)
        return ops.where(slots > 0, ops.cast(ops.take(own, slots, axis=-1), scores.dtype), scores)

    def get_config(self) -> dict[str, Any]:
        names = "rows total width network"
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}
