"""Checks of what goes into a model: ids within the tables that look them up, lengths within learnt positions."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from bert4keras2.functional import keras_private
from bert4keras2.training.arrays import on_host

__all__ = ["IdLimits"]


class IdLimits:
    """What the layers of a functional model can look up: ids per input, and positions.

    Args:
        model: a functional model; one without symbolic inputs has no limits.

    Attributes:
        rows: {input name: (number of ids, layer)}.
        lengths: {input name: (longest sequence, layer)}.
        pads: {input name: id of padding}, where that is not 0.
    """

    def __init__(self, model: Any):
        self.tensors = keras.tree.flatten(getattr(model, "inputs", None) or [])
        self.names = [keras_private.maker(tensor).name for tensor in self.tensors]
        self.rows: dict[str, tuple[int, str]] = {}
        self.lengths: dict[str, tuple[int, str]] = {}
        self.pads: dict[str, int] = {}
        for operation in getattr(model, "operations", None) or []:
            # A shared layer may have been called elsewhere too: only inputs of this model are looked for.
            for call in keras_private.calls_of(operation):
                self._learn(call)

    def as_dict(self) -> dict[str, dict[str, list[Any]]]:
        """Return the limits as JSON holds them."""
        return {
            "rows": {name: list(limit) for name, limit in self.rows.items()},
            "lengths": {name: list(limit) for name, limit in self.lengths.items()},
        }

    @classmethod
    def of(cls, names: list[str], said: dict[str, dict[str, list[Any]]], pad_id: int = 0) -> IdLimits:
        """Return the limits of a model that is not there, such as an exported one.

        Args:
            names: of its inputs, the token ids first.
            said: what `as_dict` returned.
            pad_id: the token id that is padding.
        """
        found = cls(None)
        found.names = list(names)
        found.rows = {name: (int(size), layer) for name, (size, layer) in said.get("rows", {}).items()}
        found.lengths = {name: (int(size), layer) for name, (size, layer) in said.get("lengths", {}).items()}
        found.pads = {names[0]: pad_id} if pad_id else {}
        return found

    def examples(self) -> list[list[np.ndarray]]:
        """Return inputs of a few shapes, ids that the model knows and padding among them, the same at each call."""
        random = np.random.RandomState(0)
        longest = min([size for size, _ in self.lengths.values()], default=33)
        return [
            [self._example(tensor, name, batch, max(min(length, longest), 1), random) for tensor, name in self._named()]
            for batch, length in ((1, 6), (3, 17), (2, 33))
        ]

    def _named(self) -> list[tuple[Any, str]]:
        return list(zip(self.tensors, self.names, strict=True))

    def _example(self, tensor: Any, name: str, batch: int, length: int, random: np.random.RandomState) -> np.ndarray:
        shape = (batch, *(length if size is None else size for size in tensor.shape[1:]))
        if not str(tensor.dtype).startswith(("int", "uint")):
            return random.standard_normal(shape).astype(tensor.dtype)
        rows = self.rows.get(name, (2, ""))[0]
        pad_id = self.pads.get(name, 0)
        ids = random.randint(0, rows, shape)
        if len(shape) == 2 and name.endswith("Token") and rows > 2:
            ids = np.where(ids == pad_id, (pad_id + 1) % rows, ids)
            ids[-1, shape[1] // 2 + 1 :] = pad_id
        return ids.astype(tensor.dtype)

    def _learn(self, call: keras_private.Call) -> None:
        """Note what one call of a layer demands of the model's inputs."""
        operation, tensors, options = call.layer, call.inputs, call.kwargs
        if isinstance(operation, keras.layers.Embedding):
            if options.get("mode", "embedding") == "embedding":
                self._limit(self.rows, tensors[:1], operation.input_dim, operation.name)
                if pad_id := getattr(operation, "pad_id", 0):
                    self.pads |= {
                        n: pad_id for n, own in zip(self.names, self.tensors, strict=True) if own is tensors[0]
                    }
        elif isinstance(operation, keras.Model):
            inner = IdLimits(operation)
            by_name = dict(zip(inner.names, tensors, strict=False))
            for name, (size, layer) in inner.rows.items():
                self._limit(self.rows, [by_name.get(name)], size, layer)
            for name, (size, layer) in inner.lengths.items():
                self._limit(self.lengths, [by_name.get(name)], size, layer)
            for name, pad_id in inner.pads.items():
                self.pads |= {
                    n: pad_id for n, x in zip(self.names, self.tensors, strict=True) if x is by_name.get(name)
                }
        elif (size := getattr(operation, "id_limit", None)) is not None:
            if getattr(operation, "custom_position_ids", False):
                self._limit(self.rows, tensors[1:2], size, operation.name)
            else:
                self._limit(self.lengths, _sources(tensors[0]), size, operation.name)

    def _limit(self, limits: dict[str, tuple[int, str]], tensors: list[Any], size: int, layer: str) -> None:
        """Lower the limit of those tensors that are inputs of the model."""
        for name, own in zip(self.names, self.tensors, strict=True):
            if any(own is tensor for tensor in tensors) and size < limits.get(name, (size + 1, ""))[0]:
                limits[name] = (size, layer)

    def check(self, x: Any) -> None:
        """Raise a ValueError that names the input if an array of `x` is more than the model can look up.

        Args:
            x: an array, or a list or dict of arrays; what is not on the host is left alone.
        """
        if not isinstance(x, dict):
            x = dict(zip(self.names, x if isinstance(x, list | tuple) else [x], strict=False))
        for name, value in x.items():
            array = on_host(value)
            if array is not None and array.size and array.dtype.kind in "iuf":
                message = self._length_problem(name, array) or self._id_problem(name, array)
                message = message or self._padding_problem(name, array)
                if message:
                    raise ValueError(message)

    def _length_problem(self, name: str, array: np.ndarray) -> str | None:
        size, layer = self.lengths.get(name, (None, ""))
        if size is None or array.ndim < 2 or array.shape[1] <= size:
            return None
        return (
            f"Input {name!r} has sequences of length {array.shape[1]}, but layer {layer!r} knows {size} positions. "
            "Shorten the texts (maxlen of the tokenizer) or build the model with hierarchical_position=True"
        )

    def _id_problem(self, name: str, array: np.ndarray) -> str | None:
        rows, layer = self.rows.get(name, (None, ""))
        whole = array.dtype.kind != "f"
        if rows is None or (array.min() >= 0 and array.max() < rows and (whole or not (array % 1).any())):
            return None
        wrong = ~((array >= 0) & (array < rows))
        if not wrong.any():
            wrong = array % 1 != 0
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        if array[where] % 1 != 0:  # so is that of NaN and infinity
            return (
                f"Input {name!r} has id {array[where]:g} at {where}, but ids are whole numbers, which layer {layer!r}"
                f" looks up: 0 to {rows - 1}"
            )
        return (
            f"Input {name!r} has id {int(array[where])} at {where}, but layer {layer!r} has {rows} rows (ids 0 to "
            f"{rows - 1}). Is the vocabulary that of this model, and were keep_tokens and compound_tokens "
            "given to build_transformer_model as load_vocab returned them?"
        )

    def _padding_problem(self, name: str, array: np.ndarray) -> str | None:
        pad_id = self.pads.get(name)
        # Texts end with </s> or padding; id 0 is <s>, which begins them.
        if pad_id is None or array.ndim != 2 or array.shape[1] < 2 or not (array[:, -1] == 0).any():
            return None
        return (
            f"Input {name!r} has rows that end with id 0, which begins a text for this model: its padding is id "
            f"{pad_id}. Pad by tokenizer.encode_batch, or by sequence_padding(ids, value={pad_id})"
        )


def _sources(tensor: Any) -> list[Any]:
    """Return the inputs (B, T) from which a tensor (B, T, ...) is computed through embeddings and sums.

    The walk ends at other layers: what comes out of them need not have the length of what goes in.
    """
    call = keras_private.call_of(tensor)
    if isinstance(call.layer, keras.layers.InputLayer):
        return [tensor]
    if not isinstance(call.layer, keras.layers.Embedding | keras.layers.Add):
        return []
    return [source for before in call.inputs for source in _sources(before)]
