"""gMLP: a feed-forward network that gates each token by a sum over the others (Liu et al., arXiv:2105.08050)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert4keras2.functional.functions import normalize_scores, wide
from bert4keras2.layers.base import (
    Layer,
    activation_config,
    get_activation,
    register,
    resolve_activation,
    serialize_initializer,
)
from bert4keras2.layers.classic_call import hide_keys
from bert4keras2.layers.mixing.places import check_length, kept, places_of, weighted_sum
from bert4keras2.layers.normalization import LayerNormalization

__all__ = ["GatedMLP"]

# Shape legend: B batch, T query length, S key length, U inner width, N places, A size of the tiny attention.


@register
class GatedMLP(Layer):
    """o(z1 * (W norm(z2) + b)) with z1, z2 = act(i(x)), W over places (Liu et al., arXiv:2105.08050).

    W starts near 0 and b at 1, so the layer starts as a feed-forward network. With `attention_size` it is aMLP: what a
    small attention with one head sees is added before the gate.

    Args:
        units: U, of which each half has z1 and z2; even.
        max_length: N, how many places there are.
        attention_size: A; None for none.
        toeplitz: W has a weight for each distance (as for texts) rather than for each pair of places.
        activation: of the inner projection.
        use_bias: add biases to the projections.
        kernel_initializer: initializer of all kernels.
    """

    stored_by_path = True
    has_weights = False  # attention_maps() has nothing to show

    def __init__(
        self,
        units: int,
        max_length: int = 512,
        attention_size: int | None = None,
        toeplitz: bool = True,
        activation: Any = "gelu",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if units % 2:
            raise ValueError(f"units are split into two halves: an even number, not {units}")
        self.units, self.max_length, self.attention_size = units, max_length, attention_size
        self.toeplitz, self.use_bias, self.activation = toeplitz, use_bias, resolve_activation(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        width, half = input_shape[-1], self.units // 2
        options = {"use_bias": self.use_bias, "kernel_initializer": self.kernel_initializer}
        self.i_dense = self.dense("i_dense", self.units, width, activation=get_activation(self.activation), **options)
        self.gate_norm = LayerNormalization(name="gate_norm", dtype=self.dtype_policy)
        self.gate_norm.build((None, None, half))
        places = self.max_length
        small = keras.initializers.RandomUniform(-1e-3 / places, 1e-3 / places)
        shape = (2 * places - 1,) if self.toeplitz else (places, places)
        self.mixing_kernel = self.add_weight(name="mixing_kernel", shape=shape, initializer=small)
        self.mixing_bias = self.add_weight(name="mixing_bias", shape=(places,), initializer="ones")
        if self.attention_size:
            self.qkv_dense = self.dense("qkv_dense", 3 * self.attention_size, width, **options)
            self.tiny_dense = self.dense("tiny_dense", half, self.attention_size, **options)
        self.o_dense = self.dense("o_dense", width, half, **options)
        self.built = True

    def call(self, x, attention_mask=None, cache=None, index=0, places=None, mask=None):
        """Mix the tokens of x.

        Args:
            x: (B, T, C).
            attention_mask: (B, 1, 1 | T, S) booleans, true where a token may look; if None, the Keras mask (B, T).
            cache: tensors (B, 1, S, D); the new ones are written at `index`. Empty: there are none yet.
            index: position in the cache of the first of the T tokens.
            places: those of the tokens (B, T) and of all that they see (B, S) with a cache; 0, 1, 2... if None.

        Returns:
            (B, T, C), and with a cache also the new cache.

        Raises:
            ValueError: if the text is known to be longer than there are places.
        """
        check_length(self, x, self.max_length)
        if attention_mask is None:
            attention_mask = hide_keys(None, mask)
        own, others = places_of(x, places)
        through, gated = ops.split(self.i_dense(x), 2, axis=-1)
        gated = self.gate_norm(gated)
        new = [gated]
        if self.attention_size:
            query, *rest = ops.split(self.qkv_dense(x), 3, axis=-1)
            new += rest
        seen = new
        if cache is not None:
            cache, _ = kept(cache, tuple(ops.expand_dims(t, 2) for t in new), index)
            seen = [tensor[:, 0] for tensor in cache]
        weights = ops.cast(mixing_weights(self.mixing_kernel, own, others, self.max_length), x.dtype)
        gate = weighted_sum(weights, seen[0], attention_mask)
        gate = gate + ops.expand_dims(ops.take(ops.cast(self.mixing_bias, x.dtype), own), -1)
        if self.attention_size:
            scores = wide(ops.matmul(query, ops.swapaxes(seen[1], 1, 2))) * self.attention_size**-0.5
            shown = None if attention_mask is None else attention_mask[:, 0]
            attended = ops.matmul(ops.cast(normalize_scores(scores, shown, "softmax"), x.dtype), seen[2])
            gate = gate + self.tiny_dense(attended)
        output = self.o_dense(through * gate)
        return output if cache is None else (output, cache)

    def compute_output_spec(self, x, **kwargs):
        return keras.KerasTensor(x.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        names = "units max_length attention_size toeplitz use_bias"
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names.split()},
            "activation": activation_config(self.activation),
            "kernel_initializer": serialize_initializer(self.kernel_initializer),
        }


def mixing_weights(kernel: Any, own: Any, others: Any, limit: int) -> Any:
    """Return (1 | B, T, S): the weights of pairs of places.

    Args:
        kernel: (2 N - 1,), a weight for each distance from -(N - 1) on, or (N, N).
        own: (1 | B, T) places of the tokens.
        others: (1 | B, S) places of what they see.
        limit: N.
    """
    kernel = ops.convert_to_tensor(kernel)
    own, others = ops.expand_dims(own, 2), ops.expand_dims(others, 1)
    # Places of a cache that nothing was written to yet may lie beyond the table, and are hidden.
    if len(kernel.shape) == 1:
        return ops.take(kernel, ops.clip(others - own + limit - 1, 0, 2 * limit - 2))
    flat = ops.clip(own, 0, limit - 1) * limit + ops.clip(others, 0, limit - 1)
    return ops.take(ops.reshape(kernel, (-1,)), flat)
