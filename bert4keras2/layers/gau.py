"""The gated attention unit: attention and feed-forward network in one layer."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert4keras2.functional.functions import rotate
from bert4keras2.functional.head_axes import cut
from bert4keras2.layers.attention import attend, hangs_on_arguments, unit_length, write_cache
from bert4keras2.layers.base import (
    activation_config,
    get_activation,
    register,
    resolve_activation,
    serialize_initializer,
)
from bert4keras2.layers.classic_call import classic_inputs, hide_keys
from bert4keras2.layers.dropout import Dropout
from bert4keras2.layers.length import rerope_products
from bert4keras2.layers.normalization import ScaleOffset
from bert4keras2.layers.parts import Extensible
from bert4keras2.layers.prefix import Attended

__all__ = ["GatedAttentionUnit"]

# Shape legend: B batch, T query length, S key length, D size of queries and keys, U inner width, C width.


@register
class GatedAttentionUnit(Extensible):
    """Single-head attention whose values are gated: o(u * attend(q, k, v)) (Hua et al., arXiv:2202.10447).

    In self-attention one projection, then the activation, gives u, v and what q and k are scaled from; in
    cross-attention u and q come from the query, k and v from projections of their own.

    Args:
        units: inner width U of gate and values.
        key_size: size D of queries and keys.
        activation: of gate, values and keys.
        use_bias: add biases and offsets.
        normalization: "squared_relu", "softmax" or "softmax_plus" (see `backend.attention_normalize`).
        self_attention: queries, keys and values come from one input.
        attention_scale: divide scores by the root of the key size.
        attention_dropout: dropout rate of the weights; None or 0 for none.
        kernel_initializer: initializer of all kernels.
        key_norm: divide keys by their length instead of scores by a root (Su Jianlin, kexue.fm/archives/9859).
    """

    direct_call, direct_training = True, True

    def called_directly(self, args, kwargs, dtype):
        return hangs_on_arguments(kwargs) and super().called_directly(args, {}, dtype)

    def __init__(
        self,
        units: int,
        key_size: int,
        activation: Any = "swish",
        use_bias: bool = True,
        normalization: str = "squared_relu",
        self_attention: bool = True,
        attention_scale: bool = True,
        attention_dropout: float | None = None,
        kernel_initializer: Any = "glorot_uniform",
        key_norm: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.units, self.key_size = units, key_size
        self.activation = resolve_activation(activation)
        self.use_bias, self.normalization, self.self_attention = use_bias, normalization, self_attention
        self.attention_scale, self.attention_dropout = attention_scale, attention_dropout or 0.0
        self.kernel_initializer, self.key_norm = keras.initializers.get(kernel_initializer), key_norm

    def build(self, input_shape):
        shapes = input_shape if isinstance(input_shape[0], tuple | list) else [input_shape]
        width = shapes[0][-1]
        options = {"use_bias": self.use_bias, "kernel_initializer": self.kernel_initializer}
        gate = {**options, "activation": get_activation(self.activation)}
        if self.self_attention:
            self.i_dense = self.dense("i_dense", 2 * self.units + self.key_size, width, **gate)
            for name in ("q_scaleoffset", "k_scaleoffset"):
                child = ScaleOffset(offset=self.use_bias, name=name, dtype=self.dtype_policy)
                child.build((None, None, self.key_size))
                setattr(self, name, child)
        else:
            memory = shapes[1 if len(shapes) > 1 else 0][-1]
            self.uq_dense = self.dense("uq_dense", self.units + self.key_size, width, **gate)
            self.k_dense = self.dense("k_dense", self.key_size, memory, **gate)
            self.v_dense = self.dense("v_dense", self.units, memory, **gate)
        self.o_dense = self.dense("o_dense", width, self.units, **options)
        if self.attention_dropout:
            self._dropout = Dropout(self.attention_dropout, dtype=self.dtype_policy)
        self.build_parts()
        self.built = True

    def part_shape(self, kind: str) -> tuple[dict[str, Any], Any]:
        """Return what a part has to know of the layer."""
        if kind == "adapter":
            return {}, (None, None, self.o_dense.units)
        return {"heads": 1, "key_size": self.key_size, "head_size": self.units}, None

    def call(
        self,
        x,
        memory=None,
        attention_mask=None,
        rotary=None,
        bias=None,
        cache=None,
        index=0,
        a_bias: bool | None = None,
        p_bias: str | None = None,
        mask=None,
        x_mask=None,
        memory_mask=None,
        return_weights: bool = False,
        rerope=None,
        query_scale=None,
        training: bool | None = None,
    ):
        """Attend from x to itself or, without self_attention, to `memory`.

        Args:
            x: (B, T, C). The classic form, a list [x, (bias), (position)] or without self_attention
                [query, key, value, (bias), (position)], is understood too, with `a_bias` and `p_bias` ("rotary")
                saying what follows.
            memory: (B, S, C) to attend to, without self_attention.
            attention_mask: boolean, broadcasts to (B, 1, T, S), true where a query may look. If None, the Keras mask
                of the keys (B, S) is used.
            rotary: (sin, cos) of the current positions, each (B | 1, T, D / 2).
            bias: broadcasts to (B, 1, T, S), added to the scores.
            cache: (keys (B, 1, S, D), values (B, 1, S, U)); the new ones are written at `index`. Empty: there is none
                yet, and those of this call are returned.
            index: position in the cache of the first of the T new positions.
            return_weights: also return the weights (B, 1, T, S), after all else.
            rerope: tables of `ReRopePosition`, in place of `rotary`.
            query_scale: (B, 1 | T, 1) factors of the scores of each query.

        Returns:
            (B, T, C), and with a cache also the new cache.
        """
        mask = x_mask if mask is None else mask
        value = memory
        if isinstance(x, list | tuple):
            given = classic_inputs(self, x, 1 if self.self_attention else 3, a_bias, p_bias, mask)
            x, memory, value, attention_mask, bias, rotary, _ = given
        elif attention_mask is None and not cache:
            attention_mask = hide_keys(None, mask if self.self_attention else memory_mask)
        gate, query, key, value = self._project(x, memory, value)
        if query_scale is not None:
            query = query * ops.cast(query_scale, query.dtype)
        key = unit_length(key) if self.key_norm else key
        query, key, value = (ops.expand_dims(tensor, 2) for tensor in (query, key, value))
        if rotary is not None:
            sin, cos = (ops.expand_dims(table, 2) for table in rotary)
            query, key = rotate(query, sin, cos), rotate(key, sin, cos)
        filled = bool(cache)
        if cache is not None:
            cache = write_cache(cache, key, value, index)
            key, value = cache if filled else (key, value)
        query, key, others = (query, key, ()) if rerope is None else rerope_products(query, key, rerope, filled)
        given = Attended(key, value, attention_mask, bias, others=others)
        attended = attend(
            query,
            **(given if self.prefix is None else self.prefix.before(given, filled))._asdict(),
            scale=None if self.attention_scale and not self.key_norm else 1.0,
            normalization=self.normalization,
            dropout=(lambda w: self._dropout(w, training=True)) if training and self.attention_dropout else None,
            by_head=filled,
            return_weights=return_weights,
        )
        attended, *weights = attended if return_weights else (attended,)
        output = self.o_dense(gate * attended[:, :, 0])
        output = output if self.adapter is None else self.adapter(output)
        if self.prefix is not None:
            weights = [shown[..., self.prefix.length :] for shown in weights]
        outputs = (output, *(() if cache is None else (cache,)), *weights)
        return outputs[0] if len(outputs) == 1 else outputs

    def _project(self, x, memory, value):
        """Return the gate (B, T, U), queries (B, T, D), keys (B, S, D) and values (B, S, U)."""
        if self.self_attention:
            gate, value, shared = cut(self.i_dense(x), self.units, self.units, self.key_size)
            return gate, self.q_scaleoffset(shared), self.k_scaleoffset(shared), value
        memory = x if memory is None else memory
        gate, query = cut(self.uq_dense(x), self.units, self.key_size)
        return gate, query, self.k_dense(memory), self.v_dense(memory if value is None else value)

    def compute_mask(self, x, previous_mask=None):
        return previous_mask[0] if isinstance(previous_mask, list | tuple) and previous_mask else previous_mask

    def compute_output_spec(self, x, memory=None, **kwargs):
        query = x[0] if isinstance(x, list | tuple) else x
        return keras.KerasTensor(query.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        names = "units key_size use_bias normalization self_attention attention_scale attention_dropout"
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names.split()},
            **({"key_norm": True} if self.key_norm else {}),
            "activation": activation_config(self.activation),
            "kernel_initializer": serialize_initializer(self.kernel_initializer),
        }
