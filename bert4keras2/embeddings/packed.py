"""Vectors of several texts in one row of the model: nearly no padding, and no text sees another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from keras import ops

from bert4keras2.embeddings.batches import TextBatches
from bert4keras2.embeddings.pooling import check_pooling
from bert4keras2.functional.compiled import compiled
from bert4keras2.snippets.packing import pack
from bert4keras2.snippets.sequences import round_up

__all__ = ["PackedVectors"]

# Shape legend: R rows, T positions of a row, M most texts of a row, C width of states, D of vectors.

# Rows have so many positions at least: short ones are hard to fill, and in long ones attention looks at much that is
# hidden.
ROW = 128
# Poolings that sum states with weights; "pooler" and "first-last" begin with one of them.
BEGIN = {"pooler": "cls", "first-last": "mean"}


class PackedVectors:
    """Puts several texts into each row, runs the model over rows, and pools each text by itself.

    Attention is limited to a text by a mask of pairs, and each text counts its own positions.

    Args:
        transformer: the `Transformer`.
        cutter: of the encoder, which knows inputs and padding.
        pooling: as of `SentenceEncoder`.
        layers: Keras layers that the vectors go through.
        batch_size: rows of one step.
        by_shape: whether each shape is compiled.
        jit_compile: use XLA on TensorFlow.

    Raises:
        ValueError: if the model's blocks have no mask of pairs, so that texts of a row would mix.
    """

    def __init__(
        self,
        transformer: Any,
        cutter: TextBatches,
        pooling: str | Sequence[str],
        layers: Sequence[Any],
        batch_size: int,
        by_shape: bool,
        jit_compile: bool = False,
    ):
        config = transformer.config
        if not config.pairwise or config.position_axes > 1:
            raise ValueError(
                f"Texts of one row are kept apart by a mask of pairs of tokens, and the blocks of this {config.family} "
                "model (block, attention or position_axes) have none: encode(texts) without packed=True"
            )
        self.transformer, self.cutter, self.layers = transformer, cutter, list(layers)
        self.batch_size, self.by_shape = batch_size, by_shape
        self.poolings = check_pooling(pooling)
        # "max" picks from where the weights of "mean" are.
        self.weights = list(dict.fromkeys(_weights_of(name) for name in self.poolings))
        arrays, weights = [((None, None), "int32")] * 4, [((None, None, None), "float32")] * len(self.weights)
        self._function = compiled(
            self._forward, self._variables, jit_compile, None if by_shape else [*arrays, *weights]
        )

    def vectors(self, ids: np.ndarray, segments: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (numbers of texts, their vectors) for texts (N, L) without any that has no tokens.

        Args:
            ids: (N, L) int32, padded with the model's padding.
            segments: (N, L) int32.

        Raises:
            ValueError: if an id is unknown to the model.
        """
        cutter = self.cutter
        cutter.limits.check(dict(zip(cutter.names, cutter.inputs(ids, segments), strict=True)))
        real = ids != cutter.pad
        lengths = np.where(real, np.arange(1, ids.shape[1] + 1), 0).max(axis=1, initial=0)
        length = self.transformer.config.sequence_length or round_up(max(ROW, int(lengths.max())), 16)
        rows = pack(lengths, length)
        for start in range(0, len(rows), self.batch_size):
            part = rows[start : start + self.batch_size]
            texts = np.concatenate(part)
            yield texts, self._run(part, ids, segments, lengths, length)

    def _run(
        self, rows: list[list[int]], ids: np.ndarray, segments: np.ndarray, lengths: np.ndarray, length: int
    ) -> np.ndarray:
        """Return the vectors of the texts in rows, row by row."""
        count, most = len(rows), max(map(len, rows))
        if self.by_shape:
            count = min(n for n in (1, 8, self.batch_size) if count <= n <= self.batch_size)
            most = round_up(most, 8)
        tokens, kinds, places, numbers = (np.zeros((count, length), "int32") for _ in range(4))
        tokens += self.cutter.pad
        weights = {name: np.zeros((count, most, length), "float32") for name in self.weights}
        slots = []
        for row, items in enumerate(rows):
            begin = 0
            for number, item in enumerate(items):
                size = int(lengths[item])
                part = slice(begin, begin + size)
                tokens[row, part], kinds[row, part] = ids[item, :size], segments[item, :size]
                places[row, part], numbers[row, part] = np.arange(size), number + 1
                for name, array in weights.items():
                    array[row, number, part] = _pooling_weights(name, ids[item, :size] != self.cutter.pad)
                slots.append(row * most + number)
                begin = part.stop
        # Rows that only fill the batch are copies of a real one: no row is wholly padding.
        for array in (tokens, kinds, places, numbers):
            array[len(rows) :] = array[0]
        arrays = [tokens, kinds, places, numbers, *weights.values()]
        found = self._function(*map(ops.convert_to_tensor, arrays))
        return ops.convert_to_numpy(found).reshape(count * most, -1)[slots]

    def _forward(self, tokens: Any, segments: Any, positions: Any, numbers: Any, *weights: Any) -> Any:
        """Return (R, M, D) vectors."""
        transformer, given = self.transformer, dict(zip(self.weights, weights, strict=True))
        arrays = {"Input-Token": tokens, "Input-Segment": segments, "Input-Position": positions}
        inputs = [next(arrays[key] for key in arrays if name.endswith(key)) for name in self.cutter.names]
        context = transformer.make_context(inputs)
        same = ops.equal(ops.expand_dims(numbers, 1), ops.expand_dims(numbers, 2))
        context.attention_mask = ops.logical_and(context.attention_mask, ops.expand_dims(same, 1))
        context.position_ids = positions
        transformer.locate(context, tokens)  # what depends on the mask and on positions
        begin: list[Any] = []

        def heads(x: Any) -> Any:
            begin.append(transformer.hidden_states[0])
            return x

        context.heads = heads
        last, _ = transformer.run(context, inputs)
        parts = [self._pooled(name, given[_weights_of(name)], begin[0], last) for name in self.poolings]
        vectors = parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-1)
        for layer in self.layers:
            vectors = layer(vectors)
        return vectors

    def _pooled(self, name: str, weights: Any, begin: Any, last: Any) -> Any:
        """Return (R, M, D) float32 of states (R, T, C)."""
        begin, last = ops.cast(begin, "float32"), ops.cast(last, "float32")
        if name == "max":
            return _maxima(weights, last)
        if name == "first-last":
            return ops.matmul(weights, begin + last) / 2
        vectors = ops.matmul(weights, last)
        if name != "pooler":
            return vectors
        layer = self.transformer.layers[self.transformer.prefixed("Pooler-Dense")]
        return ops.cast(layer(vectors), "float32")

    def _variables(self) -> list[Any]:
        found = {id(v): v for layer in [*self.transformer.layers.values(), *self.layers] for v in layer.variables}
        return list(found.values())


def _maxima(weights: Any, states: Any) -> Any:
    """Return (R, M, C) maxima of states (R, T, C) where a text's weights (R, M, T) are not 0."""
    rows, texts = ops.shape(weights)[0], ops.shape(weights)[1]
    kept = weights > 0
    places = ops.cast(ops.argmax(ops.cast(kept, "int32"), axis=1), "int32")  # (R, T) texts of positions
    places = places + ops.expand_dims(ops.arange(rows, dtype="int32") * texts, 1)
    # What belongs to no text goes into one more segment, which is left out.
    places = ops.where(ops.any(kept, axis=1), places, rows * texts)
    flat = ops.reshape(states, (-1, states.shape[-1]))
    found = ops.segment_max(flat, ops.reshape(places, (-1,)), num_segments=rows * texts + 1)
    return ops.reshape(found[: rows * texts], (rows, texts, states.shape[-1]))


def _weights_of(name: str) -> str:
    """Return the pooling whose weights a pooling begins with."""
    return BEGIN.get(name, "mean" if name == "max" else name)


def _pooling_weights(name: str, real: np.ndarray) -> np.ndarray:
    """Return (L,) weights of a text's positions, of which some may be padding; the first one counts always."""
    real = real.astype("float32")
    real[0] = 1
    places = np.cumsum(real)
    if name == "mean":
        return real / places[-1]
    if name == "mean_sqrt_len":
        return real / np.sqrt(places[-1])
    if name == "weightedmean":
        return real * places / (real * places).sum()
    found = np.zeros_like(real)
    found[0 if name == "cls" else np.flatnonzero(real)[-1]] = 1
    return found
