"""The scores of the last position for the classic decoders, over cached keys and values."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from bert4keras2.decoders.engine import engine_of
from bert4keras2.decoders.prompts import padded_length
from bert4keras2.functional import keras_private

__all__ = ["CachedLastToken"]


class CachedLastToken:
    """Answers `predict` as `last_token(model)` does, but computes new tokens alone.

    A classic decoder passes all tokens so far at each step. Each row of a call that continues a row of the call
    before, in all of the inputs, goes on from its keys and values; beams may be reordered or fall away. Any other
    call starts anew, so the answers are the model's in any case.

    Args:
        model: as build_transformer_model returns it, or a model from its inputs to one of its outputs.
        capacity: how many tokens are expected to follow.
    """

    def __init__(self, model: Any, capacity: int):
        owner, self.activation = _owner(model)
        self.engine = engine_of(owner)
        self.decoder = self.engine.config.stack == "decoder"
        self.capacity = padded_length(max(1, int(capacity)))
        self.before: list[np.ndarray] | None = None
        self.cache: Any = None
        self.t = 0

    def predict(self, inputs: Any, **_: Any) -> np.ndarray:
        """Return scores (R, V) of the token after the last one, for arrays (R, T) without padding."""
        arrays = [np.asarray(array) for array in (inputs if isinstance(inputs, list | tuple) else [inputs])]
        rows = self._continued(arrays)
        sequences = self._sequences(arrays)
        if rows is None:
            scores = self._start(arrays)
        else:
            steps = sequences[0].shape[1] - self._sequences(self.before)[0].shape[1]
            tokens, *segments = (array[:, -steps:] for array in sequences)
            count = len(rows)
            # Few numbers of rows, so that a shrinking beam compiles little.
            fill = np.arange(_power_of_two(count)) % count
            scores, self.cache = self.engine.step(
                self.cache, tokens[fill], segments[0][fill] if segments else None, self.t, rows[fill]
            )
            scores = scores[:count, -1]
            self.t += steps
        self.before = arrays
        return self._activated(scores)

    def _sequences(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """Return the inputs that grow token by token: ids, and segment ids where there are some."""
        return arrays[1:2] if self.decoder else arrays

    def _start(self, arrays: list[np.ndarray]) -> np.ndarray:
        sequences = self._sequences(arrays)
        length = width = sequences[0].shape[1]
        if not self.decoder:
            width = max(width, min(padded_length(width), self.engine.positions or padded_length(width)))
        padded = [np.pad(array, [[0, 0], [0, width - array.shape[1]]]) for array in sequences]
        given = [arrays[0], *padded] if self.decoder else padded
        scores, self.cache = self.engine.open(given, [length] * len(given[0]), self.capacity)
        self.t = 0
        return scores

    def _continued(self, arrays: list[np.ndarray]) -> np.ndarray | None:
        """Return the rows of the call before that these rows continue, None if one of them continues none."""
        if self.before is None or len(self.before) != len(arrays):
            return None
        new, old = self._sequences(arrays), self._sequences(self.before)
        length = old[0].shape[1]
        steps = new[0].shape[1] - length
        if steps < 1 or self.t + steps > self.capacity:
            return None
        if self.decoder:
            # What a beam attends to in the encoder's output is the same for all rows of a prompt.
            same = arrays[0].shape[1:] == self.before[0].shape[1:] and np.array_equal(arrays[0][:1], self.before[0][:1])
            if not same or not (arrays[0] == arrays[0][:1]).all():
                return None
        known = {_key(old, row, length): row for row in range(len(old[0]) - 1, -1, -1)}
        rows = [known.get(_key(new, row, length)) for row in range(len(new[0]))]
        return None if None in rows else np.asarray(rows)

    def _activated(self, scores: np.ndarray) -> np.ndarray:
        return ops.convert_to_numpy(self.activation(ops.convert_to_tensor(scores)))


def _key(arrays: list[np.ndarray], row: int, length: int) -> bytes:
    return b"".join(np.ascontiguousarray(array[row, :length], "int64").tobytes() for array in arrays)


def _power_of_two(count: int) -> int:
    return 1 << (count - 1).bit_length()


def _owner(model: Any) -> tuple[Any, Any]:
    """Return the `Transformer` whose output a model gives, and the activation that ends it.

    Raises:
        ValueError: if the model is not one from a transformer's inputs to one of its outputs of scores.
    """
    outputs = getattr(model, "outputs", None) or []
    layer = keras_private.maker(outputs[0]) if len(outputs) == 1 else None
    owner = getattr(layer, "transformer", None)
    if owner is not None:
        inputs = list(model.inputs)
        same = len(inputs) == len(owner.inputs) and all(a is b for a, b in zip(inputs, owner.inputs, strict=True))
        if same and not owner.additional_input_layers and not owner.config.custom_position_ids:
            return owner, layer.activation
    raise ValueError(
        "use_cache=True needs a model from the inputs of build_transformer_model's model to its token scores, without "
        "additional inputs: drop use_cache, or generate with bert4keras2.decoders.Generator"
    )
