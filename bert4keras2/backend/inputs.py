"""Checks of what goes into a model: ids within the tables that look them up."""

from __future__ import annotations

import types
from typing import Any

import keras
import numpy as np

__all__ = ["IdLimits"]


class IdLimits:
    """How many rows the embedding has that looks up each input of a functional model.

    Args:
        model: a functional model; one without symbolic inputs has no limits.
    """

    def __init__(self, model: Any):
        tensors = keras.tree.flatten(getattr(model, "inputs", None) or [])
        self.names = [tensor._keras_history.operation.name for tensor in tensors]
        self.rows: dict[str, tuple[int, str]] = {}
        by_id = {id(tensor): name for tensor, name in zip(tensors, self.names, strict=True)}
        for operation in getattr(model, "operations", None) or []:
            is_embedding = isinstance(operation, keras.layers.Embedding)
            rows = operation.input_dim if is_embedding else getattr(operation, "id_limit", None)
            if rows is None:
                continue
            for node in operation._inbound_nodes:
                for tensor in node.input_tensors:
                    name = by_id.get(id(tensor))
                    if name is not None and rows < self.rows.get(name, (rows + 1, ""))[0]:
                        self.rows[name] = (rows, operation.name)

    def guard(self, x: Any) -> Any:
        """Return `x` after checking its ids; a Python generator comes back wrapped, each batch being checked.

        Args:
            x: an array, a list or dict of arrays, a generator of (x, y) batches, or a dataset (left alone).

        Raises:
            ValueError: if an id is negative or beyond its table.
        """
        if not self.rows:
            return x
        if hasattr(x, "set_check"):  # a BatchStream of snippets
            x.set_check(self.check)
            return x
        if isinstance(x, types.GeneratorType):
            return self._checked(x)
        self.check(x)
        return x

    def _checked(self, batches):
        for batch in batches:
            self.check(batch[0] if isinstance(batch, tuple) and batch else batch)
            yield batch

    def check(self, x: Any) -> None:
        """Raise a ValueError that names the input if a NumPy array of `x` holds an id outside its table."""
        if not isinstance(x, dict):
            x = dict(zip(self.names, x if isinstance(x, list | tuple) else [x], strict=False))
        for name, (rows, layer) in self.rows.items():
            array = x.get(name)
            if not isinstance(array, np.ndarray) or not array.size or array.dtype.kind not in "iuf":
                continue
            low, high = array.min(), array.max()
            if low < 0 or high >= rows:
                wrong = low if low < 0 else high
                where = tuple(int(i) for i in np.argwhere(array == wrong)[0])
                raise ValueError(
                    f"Input {name!r} has id {int(wrong)} at {where}, but layer {layer!r} has {rows} rows (ids 0 to "
                    f"{rows - 1}). Is the vocabulary that of this model, and were keep_tokens and compound_tokens "
                    "given to build_transformer_model as load_vocab returned them?"
                )
