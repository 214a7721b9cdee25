"""Linear attention: weights that are products of features, so that sums over keys are shared by all queries."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from bert4keras2.functional import feature_maps
from bert4keras2.functional.chunks import chunk_length, earlier_chunks, from_chunks, to_chunks, visible_sums
from bert4keras2.functional.functions import rotate, visible_only, wide
from bert4keras2.layers.base import register
from bert4keras2.layers.mixing.kept_sums import KeepsSums, cache_of
from bert4keras2.layers.mixing.projected import Projected
from bert4keras2.layers.mixing.visibility import Visible, visibility

__all__ = ["LinearAttention"]

# Shape legend: B batch, T length, H heads, D head size, F features, G chunks, c length of a chunk.
KERNELS = ("elu", "cosine", "performer", "taylor", "limit")
CHUNK = 64  # tokens of a chunk of the causal form: within one, weights are written out


@register
class LinearAttention(KeepsSums, Projected):
    """Multi-head attention with weights phi(q) . phi(k) / sum, at a cost linear in the length (arXiv:2006.16236).

    Its projections are those of `MultiHeadAttention`, so checkpoints of softmax attention fit; those of "performer",
    "taylor" and "limit" approximate it. A state of generation is one matrix for each head, whatever the length.

    Args:
        kernel: phi: "elu" (elu(x) + 1), "cosine" ([1; x / |x|]), "performer" (random features of e^(q.k), FAVOR+),
            "taylor" or "limit" (polynomials that tend to e^(q.k), for insight and tests: F grows as D^order).
        features: F of "performer"; 4 D if None.
        order: of "taylor", where an odd one gives negative weights, and of "limit".
        redraw: draw the directions of "performer" anew at each step of training.
        seed: of those directions.
        causal: no token sees a later one.
        **kwargs: those of `Projected`: heads, head_size, out_dim, key_size, use_bias, attention_scale,
            kernel_initializer.
    """

    by_token = True

    def __init__(
        self,
        heads: int,
        head_size: int,
        kernel: str = "elu",
        features: int | None = None,
        order: int = 2,
        redraw: bool = False,
        seed: int = 0,
        causal: bool = False,
        **kwargs: Any,
    ):
        super().__init__(heads, head_size, **kwargs)
        if kernel not in KERNELS:
            raise ValueError(f"kernel is one of {', '.join(KERNELS)}, not {kernel!r}")
        self.kernel, self.features, self.order = kernel, features, order
        self.redraw, self.seed, self.causal = redraw, seed, causal

    def build(self, input_shape):
        self.build_projections(input_shape)
        if self.kernel == "performer":
            count = self.features or 4 * self.key_size
            drawn = feature_maps.orthogonal_rows(count, self.key_size, np.random.default_rng(self.seed))
            self.directions = self.add_weight(
                name="directions", shape=drawn.shape, initializer="zeros", trainable=False, dtype="float32"
            )
            self.directions.assign(drawn)
            if self.redraw:
                self.generator = keras.random.SeedGenerator(self.seed)
        elif self.kernel in ("taylor", "limit"):
            self._monomials = feature_maps.monomials(self.key_size, self.order, self.kernel)
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
        """Attend from x to itself.

        Args:
            x: (B, T, C).
            attention_mask: (B, 1, 1, T) or (B, T) booleans, true at real tokens; if None, the Keras mask (B, T).
            segment_ids: (B, T), with `causal`: the tokens before the first 1 see each other both ways (UniLM).
            rotary: (sin, cos) of the positions, each (1 | B, T, D / 2). With "elu" and "cosine" they turn the features
                of the numerator alone (kexue.fm/archives/8265), otherwise queries and keys.
            cache: what a step of generation remembers, two tensors that do not grow; empty: this call is the first.
            positions: not needed, as in other layers of linear cost.
            return_weights: also return the weight of each pair (B, H, T, T), after all else: to be looked at.

        Returns:
            (B, T, out_dim), and with a cache also the new cache.

        Raises:
            ValueError: for a cache without `causal`.
        """
        cache = cache_of(cache)
        seen = visibility(x, attention_mask if attention_mask is not None else mask, segment_ids, self.causal)
        if cache is not None and not self.causal:
            raise ValueError(f"{self.name} is not causal: its past depends on what follows, so it keeps no cache")
        if training and self.redraw:
            self.directions.assign(self._drawn())
        query, key, value = self.project(x, rotary if self.kernel not in ("elu", "cosine") else None)
        query, key = self._features(query, True), self._features(key, False)
        turned = (query, key)
        if rotary is not None and self.kernel in ("elu", "cosine"):
            turned = tuple(self._turned(x, rotary) for x in turned)
        value = wide(value)
        # The sum of the weights is what a value of 1 becomes.
        ones = ops.ones_like(value[..., :1])
        if turned[0] is query:
            parts = [(query, key, ops.concatenate([value, ones], axis=-1))]
        else:
            parts = [(*turned, value), (query, key, ones)]
        mixed, states = [], []
        for number, (q, k, v) in enumerate(parts):
            y, state = self._mix(q, k, v, seen, cache[f"state_{number}"] if cache else None)
            mixed.append(y)
            states.append(state)
        mixed = ops.concatenate(mixed, axis=-1)
        outputs = [self.merge(_ratio(mixed[..., :-1], mixed[..., -1:], x.dtype))]
        if cache is not None:
            outputs.append({f"state_{number}": state for number, state in enumerate(states)})
        if return_weights:
            outputs.append(self._pairs(*turned, mixed[..., -1:], seen))
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _features(self, x, query: bool):
        """Return phi (B, H, T, F) of queries or keys (B, H, T, D), in float32 at least."""
        x = wide(x)
        if self.kernel == "elu":
            return feature_maps.elu_features(x)
        if self.kernel == "cosine":
            return feature_maps.unit_features(x)
        # Each takes half of what divides the scores.
        x = x * self.key_size**-0.25 if self.attention_scale else x
        if self.kernel == "performer":
            return feature_maps.random_features(x, ops.cast(self.directions, x.dtype), query)
        return feature_maps.polynomial_features(x, *self._monomials)

    def _turned(self, x, rotary):
        """Return features (B, H, T, F) turned by positions; the constant of "cosine" stands for itself."""
        sin, cos = (ops.expand_dims(table, 1) for table in rotary)
        if self.kernel == "elu":
            return rotate(x, sin, cos)
        return ops.concatenate([x[..., :1], rotate(x[..., 1:], sin, cos)], axis=-1)

    def _drawn(self):
        """Return directions drawn by the backend: Gaussian, then orthogonal in blocks."""
        count, dim = self.directions.shape
        blocks = -(-count // dim)
        square = keras.random.normal((blocks, dim, dim), dtype="float32", seed=self.generator)
        rotations = ops.reshape(ops.qr(square)[0], (blocks * dim, dim))[:count]
        fresh = keras.random.normal((count, dim), dtype="float32", seed=self.generator)
        return rotations * ops.sqrt(ops.sum(ops.square(fresh), axis=-1, keepdims=True))

    def _mix(self, query, key, value, seen: Visible, state):
        """Return (B, H, T, U), the sums of q.k v over what each query sees, and what a next step has to know."""
        tokens = None if seen.tokens is None else ops.expand_dims(seen.tokens, 1)  # (B, 1, T)
        total = visible_sums(key, value, tokens)
        if not self.causal:
            return ops.matmul(query, total), total
        mixed = causal_sums(query, key, value, tokens)
        if state is not None:
            return mixed + ops.matmul(query, state), state + total
        if seen.order is not None:
            source = ops.expand_dims(ops.equal(seen.order, 0), 1)
            shown = source if tokens is None else ops.logical_and(source, tokens)
            both_ways = ops.matmul(query, visible_sums(key, value, shown))
            mixed = ops.where(ops.expand_dims(source, -1), both_ways, mixed)
        return mixed, total

    def _pairs(self, query, key, total, seen: Visible):
        """Return the weights (B, H, T, T) that the sums come to."""
        weights = ops.matmul(query, ops.swapaxes(key, -1, -2)) / total
        return visible_only(weights, pairs_of(seen, self.causal, ops.shape(query)[2]))

    def get_config(self) -> dict[str, Any]:
        names = "kernel features order redraw seed causal"
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}


def causal_sums(query: Any, key: Any, value: Any, tokens: Any) -> Any:
    """Return (B, H, T, U): for each query the sum of q.k v over its own and earlier visible tokens.

    Within a chunk the products are written out, before it sums of k v^T do: memory is that of one matrix for each chunk
    rather than for each token.

    Args:
        query: (B, H, T, F).
        key: (B, H, T, F).
        value: (B, H, T, U).
        tokens: (B, 1, T) booleans, true at real tokens; None if all are.
    """
    # Chunks are cut along the second axis.
    query, key, value = (ops.swapaxes(x, 1, 2) for x in (query, key, value))
    length, size = ops.shape(query)[1], chunk_length(query, CHUNK)
    shown = ops.ones_like(query[:, :, :1, 0], dtype="bool") if tokens is None else ops.swapaxes(tokens, 1, 2)
    query, key, value, shown = (to_chunks(x, size) for x in (query, key, value, shown))
    query, key, value, shown = (ops.swapaxes(x, 2, 3) for x in (query, key, value, shown))  # (B, G, H, c, ...)
    place = ops.arange(size, dtype="int32")
    before = ops.expand_dims(place, 0) <= ops.expand_dims(place, 1)
    weights = ops.matmul(query, ops.swapaxes(key, -1, -2))
    weights = visible_only(weights, ops.logical_and(before, ops.expand_dims(shown, -2)))
    mixed = ops.matmul(weights, value) + ops.matmul(query, earlier_chunks(visible_sums(key, value, shown)))
    return ops.swapaxes(from_chunks(ops.swapaxes(mixed, 2, 3), length), 1, 2)


def pairs_of(seen: Visible, causal: bool, length: Any) -> Any:
    """Return booleans (1 | B, 1, 1 | T, T): which pairs the flags of tokens come to."""
    place = ops.arange(length, dtype="int32")
    shown = ops.expand_dims(place, 0) <= ops.expand_dims(place, 1) if causal else ops.ones((1, length), dtype="bool")
    shown = ops.expand_dims(shown, 0)
    if seen.order is not None:
        both = ops.equal(seen.order, 0)
        shown = ops.logical_or(shown, ops.logical_and(ops.expand_dims(both, 1), ops.expand_dims(both, 2)))
    if seen.tokens is not None:
        shown = ops.logical_and(shown, ops.expand_dims(seen.tokens, 1))
    return ops.expand_dims(shown, 1)


def _ratio(sums: Any, total: Any, dtype: Any) -> Any:
    """Return sums divided by the totals of their weights, which odd polynomials may bring near 0 on either side."""
    return ops.cast(sums / ops.where(ops.abs(total) < 1e-12, 1e-12, total), dtype)
