"""From tokenized texts to batches of similar length, in the few shapes that a compiled model meets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bert4keras2.embeddings.pooling import pad_id_of
from bert4keras2.exporting import ExportedModel
from bert4keras2.snippets.sequences import round_up
from bert4keras2.training.input_checks import IdLimits

__all__ = ["WINDOW", "TextBatches"]

WINDOW = 16384  # texts that are tokenized and sorted together, which bounds memory


class TextBatches:
    """Cuts rows of ids into batches for a model, longest rows first: what does not fit into memory shows at once.

    Args:
        model: a functional model of token ids, and of segment ids and positions if it takes them; or an exported one.
        tokenizer: whose padding the rows have; they get the model's.
        maxlen: longest row.

    Raises:
        ValueError: if the model knows fewer positions than `maxlen`.
    """

    def __init__(self, model: Any, tokenizer: Any, maxlen: int):
        self.maxlen = maxlen
        if isinstance(model, ExportedModel):
            said = model.description
            self.names, self.pad, self._fixed = said.inputs, said.pad_id, said.length
            self.limits = IdLimits.of(said.inputs, said.limits, said.pad_id)
        else:
            self.names, self.pad = [tensor.name for tensor in model.inputs], pad_id_of(model)
            self.limits, self._fixed = IdLimits(model), model.inputs[0].shape[1]
        self._own_pad = tokenizer.__dict__.get("_token_pad_id", 0)
        sizes = [(size, layer) for size, layer in self.limits.lengths.values()]
        sizes += [(self._fixed, f"input {self.names[0]}")] if self._fixed is not None else []
        for size, layer in sizes:
            if maxlen > size:
                raise ValueError(
                    f"maxlen={maxlen}, but the model knows {size} positions ({layer}): pass maxlen={size} or less"
                )

    def lengths(self, ids: np.ndarray) -> np.ndarray:
        """Return how long each row of (N, L) ids is without the padding at its end."""
        return np.where(ids != self._own_pad, np.arange(1, ids.shape[1] + 1), 0).max(axis=1, initial=0)

    def own_padding(self, ids: np.ndarray) -> np.ndarray:
        """Return rows (N, L) of ids padded as the model wants it."""
        if self._own_pad == self.pad:
            return ids
        return np.where(np.arange(1, ids.shape[1] + 1) <= self.lengths(ids)[:, None], ids, self.pad)

    def cut(
        self, ids: np.ndarray, segments: np.ndarray, batch_size: int, by_shape: bool = False
    ) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
        """Yield (row numbers, the model's inputs) of batches; inputs may have more rows, which only fill the batch.

        Args:
            ids: (N, L) int32, padded with the tokenizer's padding.
            segments: (N, L) int32.
            batch_size: rows of a batch.
            by_shape: whether each new shape costs a compilation: rows and lengths are then those of a few shapes.

        Raises:
            ValueError: if an id is unknown to the model.
        """
        lengths = self.lengths(ids)
        ids = self.own_padding(ids)
        self.limits.check(dict(zip(self.names, self.inputs(ids, segments), strict=True)))
        order = np.argsort(-lengths, kind="stable")
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            shape = self._shape(len(rows), int(lengths[rows[0]]), batch_size, by_shape)
            columns = min(shape[1], ids.shape[1])
            batch = np.zeros((2, *shape), "int32")
            batch[0] = self.pad
            batch[0, : len(rows), :columns] = ids[rows, :columns]
            batch[1, : len(rows), :columns] = segments[rows, :columns]
            # Rows that only fill the batch are copies of a real one: no row is wholly padding.
            batch[:, len(rows) :] = batch[:, :1]
            yield rows, self.inputs(*batch)

    def inputs(self, ids: np.ndarray, segments: np.ndarray) -> list[np.ndarray]:
        """Return the arrays that the model takes, in its order."""
        positions = np.broadcast_to(np.arange(ids.shape[1], dtype="int32"), ids.shape)
        arrays = {"Input-Token": ids, "Input-Segment": segments, "Input-Position": positions}
        return [next(arrays[key] for key in arrays if name.endswith(key)) for name in self.names]

    def _shape(self, rows: int, length: int, batch_size: int, by_shape: bool) -> tuple[int, int]:
        length = max(length, 1)
        if not by_shape:
            return rows, self._fixed or length
        length = max(min(round_up(length, 16 if length <= 128 else 64), self.maxlen), length)
        return min(n for n in (1, 8, batch_size) if rows <= n <= batch_size), self._fixed or length
