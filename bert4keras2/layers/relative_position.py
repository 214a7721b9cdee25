"""Relative positions: the clipped table of NEZHA and the buckets of T5."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import KerasTensor, ops

from bert4keras2.layers.base import Layer, register, serialize_initializer

__all__ = ["RelativePositionEmbedding", "RelativePositionEmbeddingT5", "bucket"]


def bucket(distance, num_buckets: int = 32, max_distance: int = 128, bidirectional: bool = True):
    """Return T5's bucket of a distance: exact for short ones, logarithmic up to `max_distance` (arXiv:1910.10683).

    Args:
        distance: integers, key position minus query position.
        num_buckets: number of buckets, half of them for each direction if bidirectional.
        max_distance: distances from here on share the last bucket.
        bidirectional: distinguish keys after the query; otherwise those all fall into bucket 0.
    """
    offset = ops.zeros_like(distance)
    behind = -distance
    if bidirectional:
        num_buckets //= 2
        offset = ops.cast(behind < 0, distance.dtype) * num_buckets
        behind = ops.abs(behind)
    else:
        behind = ops.maximum(behind, 0)
    exact = num_buckets // 2
    # float32 logarithms at powers of two would fall on either side, so compare with float64-computed borders instead.
    borders = [exact * (max_distance / exact) ** (k / (num_buckets - exact)) for k in range(1, num_buckets - exact)]
    steps = [math.ceil(border - 1e-9) for border in borders]
    far = exact + sum(ops.cast(behind >= step, distance.dtype) for step in steps)
    return offset + ops.where(behind < exact, behind, far)


class _Relative(Layer):
    """Base of tables over the distance between two sequences' positions."""

    def __init__(self, input_dim: int, output_dim: int, embeddings_initializer: Any = "zeros", **kwargs: Any):
        super().__init__(**kwargs)
        self.input_dim, self.output_dim = input_dim, output_dim
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)

    def build(self, input_shape):
        self.embeddings = self.add_weight(
            name="embeddings", shape=(self.input_dim, self.output_dim), initializer=self.embeddings_initializer
        )
        self.built = True

    def distance(self, query, key):
        """Return (T, S) integers: key position minus query position."""
        t, s = ops.arange(ops.shape(query)[1], dtype="int32"), ops.arange(ops.shape(key)[1], dtype="int32")
        return ops.expand_dims(s, 0) - ops.expand_dims(t, 1)

    def index(self, distance):
        """Return the table's row of a distance."""
        raise NotImplementedError

    def call(self, inputs, key=None, positions=None):
        """Return (T, S, D) vectors for queries (B, T, ...) and keys (B, S, ...), given as a list or one by one.

        With positions, those of queries (B, T) and keys (B, S), the result is (B, T, S, D).
        """
        if positions is not None:
            distance = ops.expand_dims(positions[1], 1) - ops.expand_dims(positions[0], 2)
        else:
            query, key = inputs if isinstance(inputs, list | tuple) else (inputs, inputs if key is None else key)
            distance = self.distance(query, key)
        return ops.take(ops.convert_to_tensor(self.embeddings), self.index(distance), axis=0)

    def compute_mask(self, inputs, previous_mask=None):
        return None

    def compute_output_spec(self, inputs, key=None):
        query, key = inputs if isinstance(inputs, list | tuple) else (inputs, inputs if key is None else key)
        return KerasTensor((query.shape[1], key.shape[1], self.output_dim), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": serialize_initializer(self.embeddings_initializer),
        }


@register
class RelativePositionEmbedding(_Relative):
    """A vector per distance, distances beyond (input_dim - 1) / 2 sharing the last one (Shaw et al., arXiv:1803.02155).

    Args:
        input_dim: number of distances, odd.
        output_dim: width of a vector, that of an attention head's keys.
    """

    def index(self, distance):
        """Return distances clipped to the table and shifted to start at 0."""
        reach = (self.input_dim - 1) // 2
        return ops.clip(distance, -reach, reach) + reach


@register
class RelativePositionEmbeddingT5(_Relative):
    """A bias per head and bucket of distance (Raffel et al., arXiv:1910.10683).

    Args:
        input_dim: number of buckets.
        output_dim: number of heads.
        max_distance: distances from here on share a bucket.
        bidirectional: distinguish both directions (encoder) or only look back (decoder).
    """

    def __init__(
        self, input_dim: int, output_dim: int, max_distance: int = 128, bidirectional: bool = True, **kwargs: Any
    ):
        super().__init__(input_dim, output_dim, **kwargs)
        self.max_distance, self.bidirectional = max_distance, bidirectional

    def index(self, distance):
        """Return the bucket of each distance."""
        return bucket(distance, self.input_dim, self.max_distance, self.bidirectional)

    def call(self, inputs, key=None, as_bias: bool = False, positions=None):
        """Return (T, S, H) biases, or with as_bias (1 | B, H, T, S) ones ready to be added to scores."""
        biases = super().call(inputs, key, positions)
        if not as_bias:
            return biases
        return ops.transpose(biases if positions is not None else ops.expand_dims(biases, 0), (0, 3, 1, 2))

    def compute_output_spec(self, inputs, key=None, as_bias: bool = False):
        spec = super().compute_output_spec(inputs, key)
        return KerasTensor((1, spec.shape[2], *spec.shape[:2]), dtype=spec.dtype) if as_bias else spec

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "max_distance": self.max_distance, "bidirectional": self.bidirectional}
