"""Where a token stands: absolute, sinusoidal, rotary and relative positions."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import KerasTensor, ops

from bert4keras2.families.config import table_positions
from bert4keras2.functional.functions import sinusoidal_embeddings, sinusoids
from bert4keras2.functional.rope_scaling import rotary_frequencies, rotary_magnitude, rotary_tables
from bert4keras2.layers.base import Layer, register, serialize_initializer

__all__ = [
    "PositionEmbedding",
    "RotaryPosition",
    "SinusoidalPositionEmbedding",
]

MERGE_MODES = ("add", "mul", "concat", "zero")


class _Merging(Layer):
    """Base of layers that combine position vectors with their input.

    Args:
        output_dim: width of a position vector.
        merge_mode: "add", "mul" (x * (1 + p)), "concat", or "zero" (return the position vectors alone).
        custom_position_ids: take (B, T) position ids as second input instead of 0, 1, 2...
    """

    def __init__(self, output_dim: int, merge_mode: str = "add", custom_position_ids: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        if merge_mode not in MERGE_MODES:
            raise ValueError(f"merge_mode is one of {', '.join(MERGE_MODES)}, not {merge_mode!r}")
        self.output_dim, self.merge_mode, self.custom_position_ids = output_dim, merge_mode, custom_position_ids

    def _merge(self, x, vectors):
        if self.merge_mode == "zero":
            return vectors
        vectors = ops.cast(vectors, x.dtype)
        if self.merge_mode == "add":
            return x + vectors
        if self.merge_mode == "mul":
            return x * (1 + vectors)
        return ops.concatenate([x, ops.broadcast_to(vectors, (*ops.shape(x)[:2], self.output_dim))], axis=-1)

    def _split(self, inputs, position_ids):
        if isinstance(inputs, list | tuple):
            inputs, position_ids = inputs
        if self.custom_position_ids and position_ids is None:
            raise ValueError(f"{self.name} has custom_position_ids=True: call it with [x, position_ids]")
        return inputs, position_ids

    def compute_mask(self, inputs, previous_mask=None):
        return previous_mask[0] if isinstance(previous_mask, list | tuple) else previous_mask

    def compute_output_spec(self, inputs, position_ids=None):
        x, position_ids = self._split(inputs, position_ids)
        if self.merge_mode == "zero":
            shape = (1 if position_ids is None else x.shape[0], x.shape[1], self.output_dim)
        else:
            width = x.shape[-1] + (self.output_dim if self.merge_mode == "concat" else 0)
            shape = (*x.shape[:-1], width)
        return KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "output_dim": self.output_dim,
            "merge_mode": self.merge_mode,
            "custom_position_ids": self.custom_position_ids,
        }


@register
class PositionEmbedding(_Merging):
    """Learnt absolute positions, optionally extended to input_dim ** 2 by a hierarchical decomposition.

    Hierarchical: position n * i + j gets a * u_i + (1 - a) * u_j with u = (e - a * e_0) / (1 - a), so that positions
    below n = input_dim keep their vectors (Su Jianlin, kexue.fm/archives/7947).

    Args:
        input_dim: number of learnt positions n.
        hierarchical: the coefficient a, True for 0.4, None or False for no extension.
        embeddings_initializer: initializer of the table.
        offset: rows of the table before that of position 0 (2 in RoBERTa).
        **kwargs: those that combine positions with the input: output_dim, merge_mode, custom_position_ids.
    """

    direct_call = True

    def called_directly(self, args, kwargs, dtype):
        return kwargs.keys() <= {"position_ids"} and super().called_directly(args, {}, dtype)

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        merge_mode: str = "add",
        hierarchical: bool | float | None = None,
        embeddings_initializer: Any = "zeros",
        custom_position_ids: bool = False,
        offset: int = 0,
        **kwargs: Any,
    ):
        super().__init__(output_dim, merge_mode, custom_position_ids, **kwargs)
        self.input_dim, self.hierarchical, self.offset = input_dim, hierarchical, offset
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)

    @property
    def id_limit(self) -> int:
        """Number of positions that the layer knows."""
        return table_positions(self.input_dim, self.hierarchical, self.offset)

    def build(self, input_shape):
        self.embeddings = self.add_weight(
            name="embeddings", shape=(self.input_dim, self.output_dim), initializer=self.embeddings_initializer
        )
        self.built = True

    def call(self, inputs, position_ids=None):
        """Return inputs (B, T, C) combined with the vectors of their positions.

        Raises:
            ValueError: if the sequence is longer than the positions that the layer knows.
        """
        x, position_ids = self._split(inputs, position_ids)
        length = x.shape[1]
        if position_ids is None and isinstance(length, int) and length > self.id_limit:
            raise ValueError(
                f"{self.name} knows {self.id_limit} positions, but the sequence has {length}. Shorten the text "
                "(maxlen of the tokenizer) or build the model with hierarchical_position=True"
            )
        if position_ids is not None:
            position_ids = ops.cast(position_ids, "int32")
        if self.hierarchical:
            if position_ids is None:
                position_ids = ops.expand_dims(ops.arange(ops.shape(x)[1], dtype="int32"), 0)
            vectors = self._hierarchical(position_ids)
        elif position_ids is not None:
            vectors = ops.take(self.embeddings, position_ids + self.offset, axis=0)
        else:
            vectors = ops.expand_dims(self.embeddings[self.offset : self.offset + ops.shape(x)[1]], 0)
        return self._merge(x, vectors)

    def _hierarchical(self, position_ids):
        alpha = 0.4 if self.hierarchical is True else self.hierarchical
        table = ops.convert_to_tensor(self.embeddings)
        table = (table - alpha * table[:1]) / (1 - alpha)
        major = ops.take(table, position_ids // self.input_dim, axis=0)
        minor = ops.take(table, position_ids % self.input_dim, axis=0)
        return alpha * major + (1 - alpha) * minor

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "hierarchical": self.hierarchical,
            "offset": self.offset,
            "embeddings_initializer": serialize_initializer(self.embeddings_initializer),
        }


@register
class SinusoidalPositionEmbedding(_Merging):
    """Fixed sine and cosine positions (Vaswani et al., arXiv:1706.03762).

    Args:
        base: base of the wave lengths.
        **kwargs: output_dim, merge_mode, custom_position_ids, as in `PositionEmbedding`.
    """

    def __init__(self, output_dim: int, merge_mode: str = "add", base: float = 10000, **kwargs: Any):
        super().__init__(output_dim, merge_mode, **kwargs)
        self.base = base

    def call(self, inputs, position_ids=None):
        """Return inputs (B, T, C) combined with the vectors of their positions."""
        x, position_ids = self._split(inputs, position_ids)
        if position_ids is None:
            position_ids = ops.expand_dims(ops.arange(ops.shape(x)[1]), 0)
        return self._merge(x, sinusoidal_embeddings(position_ids, self.output_dim, self.base))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "base": self.base}


@register
class RotaryPosition(Layer):
    """The sines and cosines by which all attention layers of a model rotate queries and keys (arXiv:2104.09864).

    Args:
        output_dim: width of a head's queries and keys.
        base: base of the wave lengths.
        scaling: how frequencies are stretched for longer texts (`rotary_frequencies`); None for not at all.
        axes: how many numbers a position is; pairs of a head take them in turn (Su Jianlin, kexue.fm/archives/8397),
            so a position (n, n) is the position n of a text (kexue.fm/archives/10040).
    """

    def __init__(
        self,
        output_dim: int,
        base: float = 10000,
        scaling: dict[str, Any] | None = None,
        axes: int = 1,
        **kwargs: Any,
    ):
        # Angles of far positions need float32 whatever the policy.
        super().__init__(**{**kwargs, "dtype": "float32"})
        if output_dim % 2:
            raise ValueError(f"Rotary positions turn pairs: the size of a head must be even, not {output_dim}")
        self.output_dim, self.base, self.scaling, self.axes = output_dim, base, scaling, axes

    def call(self, inputs, position_ids=None):
        """Return (sin, cos), each (1, T, D / 2), or (B, T, D / 2) with position ids.

        Args:
            inputs: (B, T, ...) tensor whose length counts.
            position_ids: (B, T) positions, 0, 1, 2... if None; with several axes (B, T, axes).
        """
        if position_ids is None:
            position_ids = ops.expand_dims(ops.arange(ops.shape(inputs)[1]), 0)
        elif self.axes > 1:
            own = ops.take(position_ids, np.arange(self.output_dim // 2) % self.axes, axis=-1)  # (B, T, D / 2)
            frequencies = rotary_frequencies(self.output_dim, self.base, self.scaling).astype("float32")
            turned, size = ops.cast(own, "float32") * ops.convert_to_tensor(frequencies), rotary_magnitude(self.scaling)
            return ops.sin(turned) * size, ops.cos(turned) * size
        if self.scaling is None:
            return sinusoids(position_ids, self.output_dim, self.base)
        frequencies = rotary_frequencies(self.output_dim, self.base, self.scaling)
        return rotary_tables(position_ids, frequencies, rotary_magnitude(self.scaling))

    def compute_mask(self, inputs, previous_mask=None):
        return None

    def compute_output_spec(self, inputs, position_ids=None):
        batch = 1 if position_ids is None else inputs.shape[0]
        table = KerasTensor((batch, inputs.shape[1], self.output_dim // 2), dtype="float32")
        return table, KerasTensor(table.shape, dtype="float32")

    def get_config(self) -> dict[str, Any]:
        scaling = {} if self.scaling is None else {"scaling": dict(self.scaling)}
        axes = {} if self.axes == 1 else {"axes": self.axes}
        return {**super().get_config(), "output_dim": self.output_dim, "base": self.base, **scaling, **axes}
