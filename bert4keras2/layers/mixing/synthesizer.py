"""Synthesizer: attention whose scores come from one token, or from nothing but the places (Tay et al., 2005.00743)."""

from __future__ import annotations

from typing import Any

from keras import ops

from bert4keras2.functional.functions import normalize_scores, wide
from bert4keras2.layers.base import register
from bert4keras2.layers.classic_call import hide_keys
from bert4keras2.layers.mixing.places import check_length, columns_at, kept, places_of
from bert4keras2.layers.mixing.projected import Projected

__all__ = ["SynthesizerAttention"]

# Shape legend: B batch, T query length, S key length, H heads, D head size, N places, R rank.
KINDS = ("dense", "random", "fixed_random", "factorised_dense", "factorised_random", "dot")


@register
class SynthesizerAttention(Projected):
    """Multi-head attention with scores that are no products of queries and keys (Tay et al., arXiv:2005.00743).

    "dense": W2 relu(W1 x_i + b1) + b2, so row i depends on token i alone. "random": a matrix for all texts,
    "fixed_random" one that is not trained. "factorised_dense": a[j // M] * b[j % M], where token i gives a and b.
    "factorised_random": R1 R2^T of low rank. "dot": the usual products. Several kinds are added before the softmax,
    with weights that are a softmax of learnt numbers.

    Args:
        kinds: one kind or several.
        max_length: N, how many places there are.
        rank: R of "factorised_random".
        **kwargs: those of `Projected`.
    """

    def __init__(
        self,
        heads: int,
        head_size: int,
        kinds: Any = ("dense",),
        max_length: int = 512,
        rank: int = 8,
        **kwargs: Any,
    ):
        super().__init__(heads, head_size, **kwargs)
        self.kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown or not self.kinds or len(set(self.kinds)) < len(self.kinds):
            raise ValueError(f"kinds are some of {', '.join(KINDS)}, each once, not {kinds!r}")
        self.max_length, self.rank = max_length, rank

    def build(self, input_shape):
        self.build_projections(input_shape, queries="dot" in self.kinds)
        width, places, options = input_shape[-1], self.max_length, {"initializer": self.kernel_initializer}
        inner = {"use_bias": True, "kernel_initializer": self.kernel_initializer}
        if "dense" in self.kinds:
            self.row_dense = self.dense("row_dense", self.heads * self.key_size, width, activation="relu", **inner)
            shape = (self.heads, self.key_size, places)
            self.row_kernel = self.add_weight(name="row_kernel", shape=shape, **options)
            self.row_bias = self.add_weight(name="row_bias", shape=(self.heads, 1, places), initializer="zeros")
        for kind in ("random", "fixed_random"):
            if kind in self.kinds:
                shape, trainable = (self.heads, places, places), kind == "random"
                setattr(self, kind, self.add_weight(name=kind, shape=shape, trainable=trainable, **options))
        if "factorised_dense" in self.kinds:
            self._outer = int(-(-(places**0.5) // 1))
            self._inner = -(-places // self._outer)
            self.outer_dense = self.dense("outer_dense", self.heads * self._outer, width, **inner)
            self.inner_dense = self.dense("inner_dense", self.heads * self._inner, width, **inner)
        if "factorised_random" in self.kinds:
            for name in ("random_rows", "random_columns"):
                shape = (self.heads, places, self.rank)
                setattr(self, name, self.add_weight(name=name, shape=shape, **options))
        if len(self.kinds) > 1:
            self.mixture = self.add_weight(name="mixture", shape=(len(self.kinds),), initializer="zeros")
        self.built = True

    def call(
        self,
        x,
        attention_mask=None,
        rotary=None,
        cache=None,
        index=0,
        places=None,
        mask=None,
        return_weights: bool = False,
    ):
        """Mix the tokens of x.

        Args:
            x: (B, T, C).
            attention_mask: (B, 1, 1 | T, S) booleans, true where a query may look; if None, the Keras mask (B, T).
            rotary: (sin, cos) of the positions, for "dot" alone.
            cache: tensors (B, H, S, D); the new ones are written at `index`. Empty: there are none yet.
            index: position in the cache of the first of the T tokens.
            places: those of queries (B, T) and keys (B, S) with a cache; 0, 1, 2... if None.
            return_weights: also return the weights (B, H, T, S), after all else.

        Returns:
            (B, T, out_dim), and with a cache also the new cache.

        Raises:
            ValueError: if the text is known to be longer than there are places.
        """
        check_length(self, x, self.max_length)
        if attention_mask is None:
            attention_mask = hide_keys(None, mask)
        query_places, key_places = places_of(x, places)
        if "dot" in self.kinds:
            query, key, value = self.project(x, rotary)
        else:
            value = self.split(self.v_dense(x))
            query, key = None, value[..., :1]
        outputs = []
        if cache is not None:
            # Caches are written by tokens first.
            cache, _ = kept(cache, tuple(ops.swapaxes(t, 1, 2) for t in (key, value)), index)
            key, value = cache
        scores = self._scores(x, query, key, query_places, None if places is None else key_places)
        weights = ops.cast(normalize_scores(scores, attention_mask, "softmax"), value.dtype)
        outputs.append(self.merge(ops.matmul(weights, value)))
        outputs += [] if cache is None else [cache]
        outputs += [weights] if return_weights else []
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _scores(self, x, query, key, query_places, key_places):
        """Return (B, H, T, S) in float32."""
        share = ops.softmax(ops.cast(self.mixture, "float32")) if len(self.kinds) > 1 else None
        total = None
        for number, kind in enumerate(self.kinds):
            if kind == "dot":
                scores = wide(ops.matmul(query, ops.swapaxes(key, -1, -2)))
                scores = scores * self.key_size**-0.5 if self.attention_scale else scores
            else:
                rows = wide(getattr(self, f"_rows_{kind.removeprefix('fixed_')}")(x, query_places, kind))
                scores = columns_at(rows, key_places, ops.shape(key)[2])
            scores = scores if share is None else scores * ops.cast(share[number], scores.dtype)
            total = scores if total is None else total + scores
        return total

    def _rows_dense(self, x, places, kind):
        inner = self.split(self.row_dense(x))
        return ops.matmul(inner, ops.cast(self.row_kernel, x.dtype)) + ops.cast(self.row_bias, x.dtype)

    def _rows_random(self, x, places, kind):
        return ops.swapaxes(ops.take(ops.convert_to_tensor(getattr(self, kind)), places, axis=1), 0, 1)

    def _rows_factorised_dense(self, x, places, kind):
        outer, inner = self.split(self.outer_dense(x)), self.split(self.inner_dense(x))
        rows = ops.expand_dims(outer, -1) * ops.expand_dims(inner, -2)
        return ops.reshape(rows, (*ops.shape(outer)[:-1], self._outer * self._inner))[..., : self.max_length]

    def _rows_factorised_random(self, x, places, kind):
        rows, columns = (ops.convert_to_tensor(table) for table in (self.random_rows, self.random_columns))
        return ops.matmul(ops.swapaxes(ops.take(rows, places, axis=1), 0, 1), ops.swapaxes(columns, -1, -2))

    def get_config(self) -> dict[str, Any]:
        names = "kinds max_length rank"
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}
