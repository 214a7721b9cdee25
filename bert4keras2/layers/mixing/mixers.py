"""Mixing of tokens without attention: MLP-Mixer, ResMLP, FNet, external attention."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from bert4keras2.functional.functions import normalize_scores, visible_only, wide
from bert4keras2.layers.base import (
    Layer,
    activation_config,
    get_activation,
    register,
    resolve_activation,
    serialize_initializer,
)
from bert4keras2.layers.mixing.gmlp import mixing_weights
from bert4keras2.layers.mixing.places import check_length, kept, places_of, weighted_sum
from bert4keras2.layers.mixing.visibility import refuse_pairs, visibility

__all__ = ["ExternalAttention", "FourierMixing", "LinearMixing", "TokenMLP"]

# Shape legend: B batch, T length, C width, N places, U inner width, H heads, D head size, M memories.


class _Mixing(Layer):
    """Base of layers that keep the shape of their input."""

    stored_by_path = True
    has_weights = False  # attention_maps() has nothing to show
    by_token = True  # whether its mask tells of tokens rather than of pairs

    def compute_output_spec(self, x, attention_mask=None, **kwargs):
        if self.by_token:
            refuse_pairs(attention_mask)
        return keras.KerasTensor(x.shape, dtype=self.compute_dtype)


def _real(x: Any, attention_mask: Any, mask: Any) -> Any:
    """Return (B, T) booleans, true at real tokens; None if all are."""
    return visibility(x, attention_mask if attention_mask is not None else mask, None, False).tokens


@register
class TokenMLP(_Mixing):
    """The token mixing of MLP-Mixer: a feed-forward network over places, shared by channels (arXiv:2105.01601).

    Padding is replaced by zeros first, so a text gives the same whatever it is padded to. It looks both ways.

    Args:
        units: U.
        max_length: N; shorter texts use the first rows and columns.
        activation: between the two projections.
        kernel_initializer: initializer of both kernels.
    """

    def __init__(
        self,
        units: int,
        max_length: int = 512,
        activation: Any = "gelu",
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.units, self.max_length, self.activation = units, max_length, resolve_activation(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        kernel = {"initializer": self.kernel_initializer}
        self.in_kernel = self.add_weight(name="in_kernel", shape=(self.max_length, self.units), **kernel)
        self.in_bias = self.add_weight(name="in_bias", shape=(self.units,), initializer="zeros")
        self.out_kernel = self.add_weight(name="out_kernel", shape=(self.units, self.max_length), **kernel)
        self.out_bias = self.add_weight(name="out_bias", shape=(self.max_length,), initializer="zeros")
        self.built = True

    def call(self, x, attention_mask=None, mask=None):
        """Return (B, T, C) for x (B, T, C) and a mask (B, 1, 1, T) or (B, T), true at real tokens."""
        check_length(self, x, self.max_length)
        real, length = _real(x, attention_mask, mask), ops.shape(x)[1]
        if real is not None:
            x = visible_only(x, ops.expand_dims(real, -1))
        x = ops.swapaxes(x, 1, 2)  # (B, C, T)
        inner = ops.matmul(x, ops.cast(self.in_kernel, x.dtype)[:length]) + ops.cast(self.in_bias, x.dtype)
        inner = get_activation(self.activation)(inner)
        mixed = ops.matmul(inner, ops.cast(self.out_kernel, x.dtype)[:, :length])
        return ops.swapaxes(mixed + ops.cast(self.out_bias, x.dtype)[:length], 1, 2)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "max_length": self.max_length,
            "activation": activation_config(self.activation),
            "kernel_initializer": serialize_initializer(self.kernel_initializer),
        }


@register
class LinearMixing(_Mixing):
    """The token mixing of ResMLP: a matrix over places, shared by channels (Touvron et al., arXiv:2105.03404).

    With a mask that hides later tokens it is causal: the upper half of the matrix is then not used.

    Args:
        max_length: N; shorter texts use the first rows and columns.
        kernel_initializer: initializer of the matrix.
    """

    by_token = False

    def __init__(self, max_length: int = 512, kernel_initializer: Any = "glorot_uniform", **kwargs: Any):
        super().__init__(**kwargs)
        self.max_length = max_length
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        shape = (self.max_length, self.max_length)
        self.mixing_kernel = self.add_weight(name="mixing_kernel", shape=shape, initializer=self.kernel_initializer)
        self.mixing_bias = self.add_weight(name="mixing_bias", shape=(self.max_length,), initializer="zeros")
        self.built = True

    def call(self, x, attention_mask=None, cache=None, index=0, places=None, mask=None):
        """Return (B, T, C) for x (B, T, C), and with a cache also the new cache; arguments as in `GatedMLP`."""
        check_length(self, x, self.max_length)
        if attention_mask is None and mask is not None:
            attention_mask = ops.cast(mask, "bool")[:, None, None]
        own, others = places_of(x, places)
        seen = x
        if cache is not None:
            cache, _ = kept(cache, (ops.expand_dims(x, 2),), index)
            seen = cache[0][:, 0]
        weights = ops.cast(mixing_weights(self.mixing_kernel, own, others, self.max_length), x.dtype)
        mixed = weighted_sum(weights, seen, attention_mask)
        output = mixed + ops.expand_dims(ops.take(ops.cast(self.mixing_bias, x.dtype), own), -1)
        return output if cache is None else (output, cache)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_length": self.max_length,
            "kernel_initializer": serialize_initializer(self.kernel_initializer),
        }


@register
class FourierMixing(_Mixing):
    """The real part of the Fourier transform over places and channels (Lee-Thorp et al., arXiv:2105.03824).

    It has no weights and looks both ways. Each text is transformed at its own length, so that padding does not matter;
    that takes a matrix for each text, whose cost grows with the square of the length. With a fixed `length` all are
    filled up to it with zeros and transformed by an FFT.

    Args:
        length: to which texts are filled up; None for each text's own.
    """

    def __init__(self, length: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.length = length

    def call(self, x, attention_mask=None, mask=None):
        """Return (B, T, C) for x (B, T, C) and a mask (B, 1, 1, T) or (B, T), true at real tokens before padding."""
        dtype, real = x.dtype, _real(x, attention_mask, mask)
        x = wide(x)
        if real is not None:
            x = visible_only(x, ops.expand_dims(real, -1))
        if self.length is not None:
            check = x.shape[1]
            if isinstance(check, int) and check > self.length:
                raise ValueError(f"{self.name} transforms {self.length} tokens, and the text has {check}")
            size = ops.shape(x)[1]
            x = ops.pad(x, [[0, 0], [0, self.length - size], [0, 0]])
            return ops.cast(_transformed(x)[:, :size], dtype)
        if real is None:
            return ops.cast(_transformed(x), dtype)
        count = ops.sum(ops.cast(real, x.dtype), axis=1)
        place = ops.cast(ops.arange(ops.shape(x)[1]), x.dtype)
        cosine, sine = _waves(place, ops.reshape(ops.maximum(count, 1), (-1, 1, 1)))
        channel = ops.cast(ops.arange(x.shape[-1]), x.dtype)
        columns = _waves(channel, float(x.shape[-1]))
        mixed = ops.matmul(cosine, ops.matmul(x, columns[0])) - ops.matmul(sine, ops.matmul(x, columns[1]))
        return ops.cast(visible_only(mixed, ops.expand_dims(real, -1)), dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "length": self.length}


def _transformed(x: Any) -> Any:
    """Return the real part of the two-dimensional Fourier transform of x (B, T, C)."""
    return ops.fft2((x, ops.zeros_like(x)))[0]


def _waves(place: Any, period: Any) -> tuple[Any, Any]:
    """Return cosines and sines (..., K, K) of 2 pi i j / period, i and j being whole numbers place (K,)."""
    # The product is taken modulo the period first: float32 has no digits left for the angle of a large one.
    turns = ops.mod(ops.expand_dims(place, 1) * ops.expand_dims(place, 0), period) * (2 * math.pi / period)
    return ops.cos(turns), ops.sin(turns)


@register
class ExternalAttention(_Mixing):
    """Attention to a memory that all texts share (Guo et al., arXiv:2105.02358).

    Each memory is weighted over the positions by a softmax, then the weights of each token over the memories are
    divided by their sum. Tokens see each other through the normalization alone; it looks both ways.

    Args:
        heads: number of heads H.
        memories: M of each head.
        kernel_initializer: initializer of all kernels.
    """

    def __init__(self, heads: int, memories: int = 64, kernel_initializer: Any = "glorot_uniform", **kwargs: Any):
        super().__init__(**kwargs)
        self.heads, self.memories = heads, memories
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        width = input_shape[-1]
        options = {"use_bias": True, "kernel_initializer": self.kernel_initializer}
        self.q_dense = self.dense("q_dense", width, width, **options)
        self.o_dense = self.dense("o_dense", width, width, **options)
        size = width // self.heads
        for name, shape in (("memory_keys", (size, self.memories)), ("memory_values", (self.memories, size))):
            setattr(self, name, self.add_weight(name=name, shape=shape, initializer=self.kernel_initializer))
        self.built = True

    def call(self, x, attention_mask=None, mask=None):
        """Return (B, T, C) for x (B, T, C) and a mask (B, 1, 1, T) or (B, T), true at real tokens."""
        shape, real = ops.shape(x), _real(x, attention_mask, mask)
        query = ops.reshape(self.q_dense(x), (*shape[:2], self.heads, x.shape[-1] // self.heads))
        scores = wide(ops.matmul(query, ops.cast(self.memory_keys, query.dtype)))  # (B, T, H, M)
        shown = None if real is None else real[:, :, None, None]
        weights = normalize_scores(scores, shown, "softmax", axis=1)
        weights = ops.cast(weights / (ops.sum(weights, axis=-1, keepdims=True) + 1e-9), query.dtype)
        mixed = ops.matmul(weights, ops.cast(self.memory_values, query.dtype))
        return self.o_dense(ops.reshape(mixed, shape))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "heads": self.heads,
            "memories": self.memories,
            "kernel_initializer": serialize_initializer(self.kernel_initializer),
        }
