"""FLASH: attention within chunks, and a linear form between them, in a gated unit (Hua et al., arXiv:2202.10447)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert4keras2.functional.chunks import chunk_length, earlier_chunks, from_chunks, to_chunks, visible_sums
from bert4keras2.functional.functions import normalize_scores, rotate, scaled_matmul, visible_only, wide
from bert4keras2.functional.initializers import TruncatedNormal
from bert4keras2.layers.base import (
    activation_config,
    get_activation,
    register,
    resolve_activation,
    serialize_initializer,
)
from bert4keras2.layers.dropout import Dropout
from bert4keras2.layers.mixing.kept_sums import KeepsSums, cache_of
from bert4keras2.layers.mixing.visibility import Visible, refuse_pairs, visibility
from bert4keras2.layers.normalization import ScaleOffset

__all__ = ["MixedChunkAttention"]

# Shape legend: B batch, T length, G chunks, c length of a chunk, D size of queries and keys, U inner width, C width.
SCALED = ("q_scaleoffset", "k_scaleoffset", "linear_q_scaleoffset", "linear_k_scaleoffset")


@register
class MixedChunkAttention(KeepsSums):
    """The gated attention unit with mixed chunk attention: o(u * (local + global)) (Hua et al., arXiv:2202.10447).

    Local: attention among the tokens of a chunk. Global: q (sum of k^T v) / (number of tokens summed over), over the
    whole text, or where `causal` over the chunks before the query's. Tokens are counted without padding, so a row's
    result does not depend on what it is batched with. Cost is linear in the length; with a chunk as long as the text
    and `causal`, it is `GatedAttentionUnit`.

    Args:
        units: inner width U of gate and values.
        key_size: size D of queries and keys.
        chunk_size: tokens of a chunk c.
        causal: no token sees a later one.
        activation: of gate, values and keys.
        use_bias: add biases and offsets.
        normalization: of the scores within a chunk, "squared_relu", "softmax" or "softmax_plus".
        attention_scale: divide those scores by the root of the key size.
        attention_dropout: dropout rate of the weights within a chunk; None or 0 for none.
        relative_bias: learn a bias for each distance within a chunk.
        kernel_initializer: initializer of all kernels.
    """

    stored_by_path = True  # those of its variables that a released checkpoint has no names for

    def __init__(
        self,
        units: int,
        key_size: int,
        chunk_size: int = 256,
        causal: bool = False,
        activation: Any = "swish",
        use_bias: bool = True,
        normalization: str = "squared_relu",
        attention_scale: bool = True,
        attention_dropout: float | None = None,
        relative_bias: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if chunk_size < 1:
            raise ValueError(f"chunk_size is the number of tokens of a chunk, at least 1, not {chunk_size}")
        self.units, self.key_size, self.chunk_size, self.causal = units, key_size, chunk_size, causal
        self.activation = resolve_activation(activation)
        self.use_bias, self.normalization, self.attention_scale = use_bias, normalization, attention_scale
        self.attention_dropout, self.relative_bias = attention_dropout or 0.0, relative_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        width = input_shape[-1]
        options = {"use_bias": self.use_bias, "kernel_initializer": self.kernel_initializer}
        gate = {**options, "activation": get_activation(self.activation)}
        self.i_dense = self.dense("i_dense", 2 * self.units + self.key_size, width, **gate)
        for name in SCALED:
            child = ScaleOffset(offset=self.use_bias, name=name, dtype=self.dtype_policy)
            child.build((None, None, self.key_size))
            setattr(self, name, child)
        self.o_dense = self.dense("o_dense", width, self.units, **options)
        if self.relative_bias:
            self.distance_bias = self.add_weight(
                name="distance_bias", shape=(2 * self.chunk_size - 1,), initializer=TruncatedNormal(0.02)
            )
        if self.attention_dropout:
            self._dropout = Dropout(self.attention_dropout, dtype=self.dtype_policy)
        self.built = True

    def call(
        self,
        x,
        attention_mask=None,
        segment_ids=None,
        rotary=None,
        cache=None,
        positions=None,
        mask=None,
        return_weights: bool = False,
        training: bool | None = None,
    ):
        """Mix the tokens of x.

        Args:
            x: (B, T, C).
            attention_mask: (B, 1, 1, T) or (B, T) booleans, true at real tokens; if None, the Keras mask (B, T).
            segment_ids: (B, T), with `causal`: the tokens before the first 1 see each other both ways (UniLM).
            rotary: (sin, cos) of the positions, each (1 | B, T, D / 2), for queries and keys of both parts.
            cache: what a step of generation remembers, a dictionary whose tensors do not grow; empty: this call is
                the first, and what it leaves is returned.
            positions: (B, T) places in the text, with a cache that is not empty.
            return_weights: also return the weight of each pair (B, 1, T, T), of both parts together: to be looked at.

        Returns:
            (B, T, C), and with a cache also the new cache.

        Raises:
            ValueError: for a cache without `causal`.
        """
        cache = cache_of(cache)
        seen = visibility(x, attention_mask if attention_mask is not None else mask, segment_ids, self.causal)
        gate, value, shared = ops.split(self.i_dense(x), [self.units, 2 * self.units], axis=-1)
        queries_and_keys = [getattr(self, name)(shared) for name in SCALED]
        if rotary is not None:
            queries_and_keys = [rotate(tensor, *rotary) for tensor in queries_and_keys]
        if cache:
            mixed, cache = self._step(*queries_and_keys, value, seen, cache, positions)
            return self.o_dense(gate * mixed), cache
        query, key, linear_query, linear_key = queries_and_keys
        mixed = self._local(query, key, value, seen, training) + self._global(linear_query, linear_key, value, seen)
        output = self.o_dense(gate * mixed)
        if return_weights:
            # A value for each token that says which it is: what is mixed of them are the weights.
            names = ops.eye(ops.shape(x)[1], dtype=value.dtype)
            names = ops.broadcast_to(ops.expand_dims(names, 0), (ops.shape(x)[0], *ops.shape(names)))
            parts = self._local(query, key, names, seen, False), self._global(linear_query, linear_key, names, seen)
            return output, ops.expand_dims(parts[0] + parts[1], 1)
        if cache is None:
            return output
        if not self.causal:
            raise ValueError(f"{self.name} is not causal: its past depends on what follows, so it keeps no cache")
        return output, self._remember(key, linear_key, value, seen.tokens)

    def _local(self, query, key, value, seen: Visible, training: bool | None):
        """Return (B, T, U): attention within chunks."""
        length, size = ops.shape(query)[1], chunk_length(query, self.chunk_size)
        shown = None
        if seen.tokens is not None:
            shown = ops.expand_dims(to_chunks(seen.tokens, size), 2)
        elif not isinstance(length, int) or length % size:
            ones = ops.ones_like(query[:, :, 0], dtype="bool")
            shown = ops.expand_dims(to_chunks(ones, size), 2)
        place = ops.arange(size, dtype="int32")
        if seen.order is not None:
            order = to_chunks(seen.order, size)
            before = ops.expand_dims(order, 2) <= ops.expand_dims(order, 3)
            shown = before if shown is None else ops.logical_and(shown, before)
        elif self.causal:
            before = ops.expand_dims(place, 0) <= ops.expand_dims(place, 1)
            shown = before if shown is None else ops.logical_and(shown, before)
        query, key, value = (to_chunks(tensor, size) for tensor in (query, key, value))
        distance = ops.expand_dims(place, 0) - ops.expand_dims(place, 1)
        weights = self._weights(query, key, shown, distance, value.dtype)
        if training and self.attention_dropout:
            weights = self._dropout(weights, training=True)
        return from_chunks(ops.matmul(weights, value), length)

    def _weights(self, query, key, shown, distance, dtype):
        """Return weights (..., T, S) of queries (..., T, D) and keys (..., S, D); distance is (..., T, S)."""
        scale = self.key_size**-0.5 if self.attention_scale else 1.0
        scores = wide(scaled_matmul(query, ops.swapaxes(key, -1, -2), scale))
        if self.relative_bias:
            index = ops.clip(distance + self.chunk_size - 1, 0, 2 * self.chunk_size - 2)
            scores = scores + ops.cast(ops.take(ops.convert_to_tensor(self.distance_bias), index), scores.dtype)
        return ops.cast(normalize_scores(scores, shown, self.normalization), dtype)

    def _global(self, query, key, value, seen: Visible):
        """Return (B, T, U): the linear part."""
        length, size, dtype = ops.shape(query)[1], chunk_length(query, self.chunk_size), value.dtype
        if not self.causal:
            # Sums of chunks, and the sum of these, take less time than one product over a long text.
            shown = None if seen.tokens is None else to_chunks(seen.tokens, size)
            sums = ops.sum(visible_sums(to_chunks(key, size), to_chunks(value, size), shown), axis=1)
            return ops.matmul(query, _mean(sums, seen.count, dtype))
        real = ops.ones_like(query[:, :, 0], dtype="bool") if seen.tokens is None else seen.tokens
        shown = to_chunks(real, size)
        sums = earlier_chunks(visible_sums(to_chunks(key, size), to_chunks(value, size), shown))
        count = earlier_chunks(ops.sum(ops.cast(shown, "float32"), axis=-1))
        mixed = from_chunks(ops.matmul(to_chunks(query, size), _mean(sums, count, dtype)), length)
        if seen.order is None:
            return mixed
        source = ops.equal(seen.order, 0)  # (B, T)
        shown = ops.logical_and(source, real)
        count = ops.sum(ops.cast(shown, "float32"), axis=-1)
        both_ways = ops.matmul(query, _mean(visible_sums(key, value, shown), count, dtype))
        return ops.where(ops.expand_dims(source, -1), both_ways, mixed)

    def _remember(self, key, linear_key, value, tokens) -> dict[str, Any]:
        """Return the cache after a text: sums over the chunks that are over, and the tokens of the last one."""
        size, length = self.chunk_size, ops.shape(key)[1]
        tokens = ops.ones_like(key[:, :, 0], dtype="bool") if tokens is None else tokens
        place = ops.broadcast_to(ops.expand_dims(ops.arange(length, dtype="int32"), 0), ops.shape(tokens))
        # What follows the last visible token is hidden, so it does not matter which chunk it is of.
        chunk = ops.max(ops.where(tokens, place, 0), axis=1) // size  # (B,)
        over = ops.logical_and(tokens, place // size < ops.expand_dims(chunk, 1))
        last = ops.expand_dims(chunk * size, 1) + ops.expand_dims(ops.arange(size, dtype="int32"), 0)  # (B, c)
        inside = ops.minimum(last, length - 1)
        open_chunk = {"keys": key, "linear_keys": linear_key, "values": value}
        return {
            "sums": visible_sums(linear_key, value, over),
            "count": ops.sum(ops.cast(over, "float32"), axis=1),
            "visible": ops.logical_and(ops.take_along_axis(tokens, inside, axis=1), last < length),
            "chunk": chunk,
            **{name: ops.take_along_axis(x, ops.expand_dims(inside, -1), axis=1) for name, x in open_chunk.items()},
        }

    def _step(self, query, key, linear_query, linear_key, value, seen: Visible, cache, positions):
        """Return (B, T, U) for T tokens that follow what a cache holds, and the cache after them."""
        size, dtype = self.chunk_size, value.dtype
        slots = ops.expand_dims(ops.arange(size, dtype="int32"), 0)
        chunk = cache["chunk"]
        new = ops.ones_like(positions, dtype="bool") if seen.tokens is None else seen.tokens
        # The tokens of the open chunk and the new ones together: S = c + T of them.
        key = ops.concatenate([ops.cast(cache["keys"], dtype), key], axis=1)
        linear_key = ops.concatenate([ops.cast(cache["linear_keys"], dtype), linear_key], axis=1)
        value = ops.concatenate([ops.cast(cache["values"], dtype), value], axis=1)
        visible = ops.concatenate([cache["visible"], new], axis=1)  # (B, S)
        positions = ops.cast(positions, "int32")
        place = ops.concatenate([ops.expand_dims(chunk * size, 1) + slots, positions], axis=1)
        own, others = ops.expand_dims(positions, 2), ops.expand_dims(place, 1)  # (B, T, 1), (B, 1, S)
        shown = ops.expand_dims(visible, 1)
        within = ops.logical_and(ops.logical_and(own // size == others // size, others <= own), shown)
        earlier = ops.logical_and(others // size < own // size, shown)
        local = ops.matmul(self._weights(query, key, within, others - own, dtype), value)
        products = wide(ops.matmul(linear_query, ops.swapaxes(linear_key, 1, 2)))
        products = visible_only(products, earlier)
        total = ops.matmul(wide(linear_query), cache["sums"])
        total = total + ops.matmul(products, wide(value))
        count = ops.expand_dims(cache["count"], 1) + ops.sum(ops.cast(earlier, "float32"), axis=-1)
        mixed = local + ops.cast(total / ops.cast(ops.expand_dims(ops.maximum(count, 1), -1), total.dtype), dtype)
        # The chunk of the last visible token is the open one now; what is visible before it is added to the sums.
        chunk = ops.maximum(chunk, ops.max(ops.where(new, positions, 0), axis=1) // size)
        over = ops.logical_and(visible, place // size < ops.expand_dims(chunk, 1))
        wanted = ops.expand_dims(ops.expand_dims(chunk * size, 1) + slots, 2)  # (B, c, 1)
        taken = ops.logical_and(ops.equal(wanted, others), shown)  # (B, c, S), at most one in each row
        pick = ops.cast(taken, dtype)
        return mixed, {
            "sums": cache["sums"] + visible_sums(linear_key, value, over),
            "count": cache["count"] + ops.sum(ops.cast(over, "float32"), axis=1),
            "visible": ops.any(taken, axis=-1),
            "chunk": chunk,
            "keys": ops.matmul(pick, key),
            "linear_keys": ops.matmul(pick, linear_key),
            "values": ops.matmul(pick, value),
        }

    def compute_output_spec(self, x, attention_mask=None, **kwargs):
        refuse_pairs(attention_mask)
        return keras.KerasTensor(x.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        names = (
            "units key_size chunk_size causal use_bias normalization attention_scale attention_dropout relative_bias"
        )
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names.split()},
            "activation": activation_config(self.activation),
            "kernel_initializer": serialize_initializer(self.kernel_initializer),
        }


def _mean(sums: Any, count: Any, dtype: Any) -> Any:
    """Return sums (..., D, U) divided by counts (...), at least 1."""
    count = ops.cast(ops.expand_dims(ops.expand_dims(ops.maximum(count, 1), -1), -1), sums.dtype)
    return ops.cast(sums / count, dtype)
