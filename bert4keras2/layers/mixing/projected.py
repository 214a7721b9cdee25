"""Projections of queries, keys, values and output, as multi-head attention has them, for other ways to mix."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert4keras2.functional.functions import rotate
from bert4keras2.layers.base import Layer, serialize_initializer
from bert4keras2.layers.mixing.visibility import refuse_pairs

__all__ = ["Projected"]


class Projected(Layer):
    """Base of layers whose variables are those of `MultiHeadAttention`, so that they take its checkpoints.

    Args:
        heads: number of heads H.
        head_size: size of a head's values.
        out_dim: width of the output; heads * head_size if None.
        key_size: size D of a head's queries and keys; head_size if None.
        use_bias: add biases to the four projections.
        attention_scale: divide scores by the root of the key size.
        kernel_initializer: initializer of all kernels.
    """

    by_token = False  # whether its mask tells of tokens rather than of pairs
    stored_by_path = True  # those of its variables that softmax attention does not have

    def __init__(
        self,
        heads: int,
        head_size: int,
        out_dim: int | None = None,
        key_size: int | None = None,
        use_bias: bool = True,
        attention_scale: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.heads, self.head_size = heads, head_size
        self.out_dim, self.key_size = out_dim or heads * head_size, key_size or head_size
        self.use_bias, self.attention_scale = use_bias, attention_scale
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build_projections(self, input_shape: Any, queries: bool = True) -> None:
        """Create the four projections, or without `queries` those of values and output."""
        width = input_shape[-1]
        options = {"use_bias": self.use_bias, "kernel_initializer": self.kernel_initializer}
        if queries:
            self.q_dense = self.dense("q_dense", self.heads * self.key_size, width, **options)
            self.k_dense = self.dense("k_dense", self.heads * self.key_size, width, **options)
        self.v_dense = self.dense("v_dense", self.heads * self.head_size, width, **options)
        self.o_dense = self.dense("o_dense", self.out_dim, self.heads * self.head_size, **options)

    def split(self, x: Any) -> Any:
        """Return x (B, T, H * D) by heads, (B, H, T, D)."""
        shape = ops.shape(x)
        return ops.swapaxes(ops.reshape(x, (*shape[:2], self.heads, x.shape[-1] // self.heads)), 1, 2)

    def project(self, x: Any, rotary: Any = None) -> tuple[Any, Any, Any]:
        """Return queries, keys (B, H, T, D) and values (B, H, T, Dv) of x, the first two turned by positions."""
        query, key, value = (self.split(dense(x)) for dense in (self.q_dense, self.k_dense, self.v_dense))
        if rotary is not None:
            sin, cos = (ops.expand_dims(table, 1) for table in rotary)
            query, key = rotate(query, sin, cos), rotate(key, sin, cos)
        return query, key, value

    def merge(self, x: Any) -> Any:
        """Return (B, T, out_dim) of what the heads give, (B, H, T, Dv)."""
        x = ops.swapaxes(x, 1, 2)
        return self.o_dense(ops.reshape(x, (*ops.shape(x)[:2], self.heads * self.head_size)))

    def compute_output_spec(self, x, attention_mask=None, **kwargs):
        if self.by_token:
            refuse_pairs(attention_mask)
        return keras.KerasTensor((*x.shape[:-1], self.out_dim), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        names = "heads head_size out_dim key_size use_bias attention_scale"
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names.split()},
            "kernel_initializer": serialize_initializer(self.kernel_initializer),
        }
