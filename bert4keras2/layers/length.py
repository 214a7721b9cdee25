"""Attention beyond the length of training: ReRoPE's positions, windows, and scores that grow with log n."""

from __future__ import annotations

import math
from typing import Any

from keras import KerasTensor, ops

from bert4keras2.functional.functions import SOFTMAX_PLUS_FLOOR, rotate
from bert4keras2.functional.rope_scaling import rotary_frequencies, rotary_tables
from bert4keras2.layers.base import Layer, register

__all__ = ["LogScale", "ReRopePosition", "WindowMask", "rerope_products"]

# Shape legend: B batch, T query length, S key length, H heads, D head size.


def _places(inputs: Any, positions: Any) -> tuple[Any, Any]:
    """Return positions of queries (1 | B, T) and keys (1 | B, S); those of the text's tokens if none are given."""
    if positions is not None:
        return tuple(ops.cast(places, "int32") for places in positions)
    places = ops.expand_dims(ops.arange(ops.shape(inputs)[1], dtype="int32"), 0)
    return places, places


@register
class ReRopePosition(Layer):
    """The tables by which attention uses no relative position beyond a window (Su Jianlin, kexue.fm/archives/9708).

    A distance r >= w counts as w (ReRoPE), or as w + (r - w) / k (Leaky ReRoPE); towards later tokens the same with the
    sign changed. Keys stay as they are in a cache, since how they are turned depends on the query.

    Args:
        output_dim: size D of a head's queries and keys.
        window: w.
        factor: k; None for ReRoPE.
        causal: no query sees later keys, so one direction is enough.
        base: base of the wave lengths.
    """

    def __init__(
        self,
        output_dim: int,
        window: int,
        factor: float | None = None,
        causal: bool = False,
        base: float = 10000,
        **kwargs: Any,
    ):
        super().__init__(**{**kwargs, "dtype": "float32"})
        if output_dim % 2:
            raise ValueError(f"Rotary positions turn pairs: the size of a head must be even, not {output_dim}")
        self.output_dim, self.window, self.factor, self.causal, self.base = output_dim, window, factor, causal, base

    def call(self, inputs, positions=None):
        """Return the tables of `rerope_products`.

        Args:
            inputs: (B, T, ...) tensor whose length counts.
            positions: those of queries (B, T) and keys (B, S); 0, 1, 2... if None.

        Returns:
            Booleans (1 | B, T, S): which pairs are not near. Sines and cosines (1 | B, T | S, D / 2) of queries and
            keys near, of queries and keys far. Without `causal` also which pairs look far ahead, and queries' for
            these.
        """
        query, key = _places(inputs, positions)
        distance = ops.expand_dims(query, 2) - ops.expand_dims(key, 1)
        window, slope = self.window, 0.0 if self.factor is None else 1 / self.factor
        frequencies = rotary_frequencies(self.output_dim, self.base)
        query, key = ops.cast(query, "float32"), ops.cast(key, "float32")
        found = [distance >= window]
        # What a far query minus a far key turn by: w + (i - w - j) / k.
        for places in (query, key, (query - window) * slope + window, key * slope):
            found += rotary_tables(places, frequencies)
        if not self.causal:
            found += [distance <= -window, *rotary_tables((query + window) * slope - window, frequencies)]
        return tuple(found)

    def compute_mask(self, inputs, previous_mask=None):
        return None

    def compute_output_spec(self, inputs, positions=None):
        length = inputs.shape[1]
        pairs, table = ((1, length, length), "bool"), ((1, length, self.output_dim // 2), "float32")
        specs = [pairs, *[table] * 8, *([] if self.causal else [pairs, table, table])]
        # A tensor for each of them: the graph tells outputs apart by their identity.
        return tuple(KerasTensor(shape, dtype=dtype) for shape, dtype in specs)

    def get_config(self) -> dict[str, Any]:
        names = "output_dim window factor causal base"
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}


def rerope_products(query: Any, key: Any, tables: Any, by_head: bool) -> tuple[Any, Any, list[tuple[Any, Any, Any]]]:
    """Return queries and keys turned for near pairs, and what takes their place for others.

    Args:
        query: (B, T, H, D), not turned.
        key: (B, S, H, D), or with by_head (B, H, S, D), not turned.
        tables: of `ReRopePosition`.
        by_head: how keys are laid out.

    Returns:
        The queries, the keys, and [(mask (1 | B, 1, T, S), queries, keys), ...]: where a mask is true, the score is the
        product of these.
    """
    beyond, *rest = tables

    def turned(x: Any, sin: Any, cos: Any, axis: int) -> Any:
        return rotate(x, ops.expand_dims(sin, axis), ops.expand_dims(cos, axis))

    axis = 1 if by_head else 2
    near = turned(query, *rest[0:2], 2), turned(key, *rest[2:4], axis)
    far_key = turned(key, *rest[6:8], axis)
    others = [(ops.expand_dims(beyond, 1), turned(query, *rest[4:6], 2), far_key)]
    if len(rest) > 8:
        others.append((ops.expand_dims(rest[8], 1), turned(query, *rest[9:11], 2), far_key))
    return (*near, others)


@register
class WindowMask(Layer):
    """The mask of attention to near tokens alone.

    Args:
        window: a token sees those at a distance below this, itself among them.
    """

    def __init__(self, window: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.window = window

    def call(self, inputs, attention_mask=None, positions=None):
        """Return booleans (B, 1, T, S): what the mask shows within the window.

        Args:
            inputs: (B, T) token ids, whose length counts.
            attention_mask: (B, 1, 1 | T, S) booleans.
            positions: those of queries (B, T) and keys (B, S); 0, 1, 2... if None.
        """
        query, key = _places(inputs, positions)
        distance = ops.expand_dims(query, 2) - ops.expand_dims(key, 1)
        near = ops.expand_dims(ops.abs(distance) < self.window, 1)
        return near if attention_mask is None else ops.logical_and(attention_mask, near)

    def compute_mask(self, inputs, previous_mask=None):
        return None

    def compute_output_spec(self, inputs, attention_mask=None, positions=None):
        batch, length = inputs.shape
        return KerasTensor((batch, 1, length, length), dtype="bool")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "window": self.window}


@register
class LogScale(Layer):
    """The factor log n / log L of the scores of a query that sees n keys (Su Jianlin, kexue.fm/archives/8823).

    The entropy of softmax attention then grows less with the length, so that it stays as sharp on longer texts. With
    `at_inference` it is max(1, log n / log L), and 1 in training: for a model that was trained without it
    (kexue.fm/archives/9706).

    Args:
        length: L, the length at which the factor is 1.
        at_inference: whether the model is trained without it.
    """

    def __init__(self, length: int = 512, at_inference: bool = False, **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.length, self.at_inference = length, at_inference

    def call(self, attention_mask, training: bool | None = None):
        """Return (B, 1 | T, 1) float32 for a mask (B, 1, 1 | T, S)."""
        count = ops.sum(ops.cast(attention_mask[:, 0], "float32"), axis=-1, keepdims=True)
        floor = 1.0 if self.at_inference else float(SOFTMAX_PLUS_FLOOR)
        factor = ops.log(ops.maximum(count, floor)) / math.log(self.length)
        if not self.at_inference:
            return factor
        return ops.ones_like(factor) if training else ops.maximum(factor, 1.0)

    def compute_mask(self, inputs, previous_mask=None):
        return None

    def compute_output_spec(self, attention_mask, training=None):
        return KerasTensor((attention_mask.shape[0], attention_mask.shape[2], 1), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "length": self.length, "at_inference": self.at_inference}
