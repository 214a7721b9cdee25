"""Multi-head attention: one function on tensors, one layer around it."""

from __future__ import annotations

from typing import Any

import keras
from keras import KerasTensor, ops

from bert4keras2.functional.functions import most_negative, normalize_scores, rotate, scaled_matmul
from bert4keras2.functional.head_axes import (
    by_heads,
    fused_attention,
    merge_heads,
    put_at,
    split_heads,
    takes_own_kernel,
)
from bert4keras2.functional.prepared import JointProduct, prepared
from bert4keras2.layers.base import register, serialize_initializer
from bert4keras2.layers.classic_call import classic_inputs, hide_keys
from bert4keras2.layers.dropout import Dropout
from bert4keras2.layers.length import rerope_products
from bert4keras2.layers.parts import Extensible
from bert4keras2.layers.prefix import Attended
from bert4keras2.old_names import take_old_arguments

__all__ = ["MultiHeadAttention", "attend"]

# The index of a cache without room, which new positions make longer: models for other programs have such ones.
APPEND = -1
# What attention layers of a model are called with.
DIRECT = {"attention_mask", "rotary", "bias", "relative", "cache", "index"}

# Shape legend: B batch, T query length, S key length, H heads, D head size, C width.


def attend(
    query,
    key,
    value,
    mask=None,
    bias=None,
    relative=None,
    scale: float | None = None,
    normalization: str = "softmax",
    dropout: Any = None,
    previous_scores=None,
    return_scores: bool = False,
    by_head: bool = False,
    return_weights: bool = False,
    others: Any = (),
    dropped: float = 0.0,
):
    """Scaled dot-product attention (Vaswani et al., arXiv:1706.03762) with the variants of the model families.

    Args:
        query: (B, T, H, D).
        key: (B, S, H, D).
        value: (B, S, H, Dv).
        mask: boolean, broadcasts to (B, H, T, S), true where a query may look; a row without any stays finite.
        bias: broadcasts to (B, H, T, S), added to the scaled scores.
        relative: (T, S, D) or (B, T, S, D) vectors added to the keys of each pair before scaling, and to its values
            (NEZHA).
        scale: factor of the scores; D ** -0.5 if None.
        normalization: "softmax", "softmax_plus" or "squared_relu" (see `backend.attention_normalize`).
        dropout: a function applied to the weights, or None.
        previous_scores: (B, H, T, S) scores of the layer before, added to these (RealFormer, arXiv:2012.11747).
        return_scores: also return the scores, scaled but before bias, mask and previous scores.
        by_head: keys and values are (B, H, S, D), as caches hold them: a step of generation then reads them in order.
        return_weights: also return the weights, before dropout.
        dropped: share of the weights that a fused kernel may drop in place of `dropout`.
        others: [(mask, query, key), ...]: where a mask, which broadcasts to (B, H, T, S), is true, scores are the
            products of these (ReRoPE).

    Returns:
        (B, T, H, Dv), or a tuple of that, (B, H, T, S) scores and (B, H, T, S) weights, as far as they are asked for.
    """
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    plain = normalization == "softmax" and relative is None and not (return_weights or others)
    plain = plain and (dropout is None or (dropped > 0 and takes_own_kernel(query, key, value, bias, mask)))
    if plain and previous_scores is None and not return_scores and _prefers_fused(query, value):
        if bias is not None and mask is not None:
            # The fused kernel takes one of them.
            low = ops.cast(most_negative(query.dtype), query.dtype)
            bias, mask = ops.where(mask, ops.cast(bias, query.dtype), low), None
        return fused_attention(query, key, value, bias, mask, scale, by_head, dropped)
    value = value if by_head else ops.swapaxes(value, 1, 2)
    # Scores that nothing divides (T5) are large, and half precision would keep three digits of them.
    wide = (lambda x: ops.cast(x, "float32")) if scale == 1.0 else (lambda x: x)
    keys_last = (0, 1, 3, 2) if by_head else (0, 2, 3, 1)  # (B, H, D, S)

    def products(query, key):
        return scaled_matmul(wide(ops.swapaxes(query, 1, 2)), wide(ops.transpose(key, keys_last)), scale)

    scores = products(query, key)
    for where, other_query, other_key in others:
        scores = ops.where(where, products(other_query, other_key), scores)
    if relative is not None:
        scores = scores + ops.cast(_with_pairs(query, relative, "bthd,pairs->bhts"), scores.dtype) * scale
    # PyTorch's softmax computes in float32 in any case, and a mask rounds nothing: a pass over the scores less.
    alone = normalization == "softmax" and relative is None and bias is None and previous_scores is None
    as_they_are = alone and keras.backend.backend() == "torch" and not return_scores
    raw = scores = scores if as_they_are else ops.cast(scores, "float32")
    if previous_scores is not None:
        scores = scores + ops.cast(previous_scores, "float32")
    if bias is not None:
        scores = scores + ops.cast(bias, "float32")
    weights = shown = ops.cast(normalize_scores(scores, mask, normalization), value.dtype)
    if dropout is not None:
        weights = dropout(weights)
    output = ops.matmul(weights, value)
    if relative is not None:
        output = output + ops.cast(_with_pairs(weights, relative, "bhts,pairs->bhtd"), output.dtype)
    output = ops.swapaxes(output, 1, 2)
    outputs = (output, *((raw,) if return_scores else ()), *((shown,) if return_weights else ()))
    return outputs[0] if len(outputs) == 1 else outputs


def _with_pairs(x, pairs, equation: str):
    """Return the einsum of a tensor and vectors per pair of positions, (T, S, D) or (B, T, S, D)."""
    if keras.backend.backend() == "tensorflow":
        # Its einsum sums bfloat16 in bfloat16 where the CPU has no such unit: 4096 keys would be off by half.
        x, pairs = ops.cast(x, "float32"), ops.cast(pairs, "float32")
    return ops.einsum(equation.replace("pairs", "tsd" if len(pairs.shape) == 3 else "btsd"), x, pairs)


def _prefers_fused(query, value) -> bool:
    """Whether the backend has a fused kernel worth using: torch has, XLA fuses the einsums by itself."""
    return keras.backend.backend() == "torch" and query.shape[-1] == value.shape[-1]


def unit_length(x: Any) -> Any:
    """Return vectors (..., D) divided by their length, which is computed in float32."""
    squares = ops.sum(ops.square(ops.cast(x, "float32")), axis=-1, keepdims=True)
    return x * ops.cast(ops.rsqrt(squares + 1e-12), x.dtype)


def write_cache(cache, key, value, index):
    """Return (keys, values) of a cache, each (B, H, S, D), with T new positions (B, T, H, D) written from `index` on.

    An empty cache becomes one of these positions alone. At the index `APPEND` they stand behind all others, and the
    cache grows.
    """
    new = by_heads(key), by_heads(value)
    if not cache:
        return new
    if isinstance(index, int) and index == APPEND:
        return tuple(ops.concatenate([old, ops.cast(x, old.dtype)], axis=2) for old, x in zip(cache, new, strict=True))
    return tuple(put_at(old, x, index) for old, x in zip(cache, new, strict=True))


def hangs_on_arguments(kwargs) -> bool:
    """Return whether what an attention layer makes of x hangs on these arguments alone, all of which are usual ones.

    Where a mask or keys are given, nothing hangs on Keras' masks.
    """
    seen = kwargs.get("attention_mask") is not None or bool(kwargs.get("cache"))
    return seen and kwargs.keys() <= DIRECT


@register
class MultiHeadAttention(Extensible):
    """Multi-head attention with optional rotary, additive or relative positions and a cache.

    Args:
        heads: number of heads H.
        head_size: size of a head's values.
        out_dim: width of the output; heads * head_size if None.
        key_size: size of a head's queries and keys; head_size if None.
        use_bias: add biases to the four projections.
        normalization: "softmax", "softmax_plus" or "squared_relu".
        attention_scale: divide scores by the root of the key size.
        attention_dropout: dropout rate of the weights; None or 0 for none.
        return_attention_scores: return (output, scores) rather than the output alone.
        kernel_initializer: initializer of all kernels.
        key_norm: divide keys by their length instead of scores by a root (Su Jianlin, kexue.fm/archives/9859).
    """

    direct_call, direct_training = True, True

    def called_directly(self, args, kwargs, dtype):
        usual = not self.return_attention_scores and hangs_on_arguments(kwargs)
        return usual and super().called_directly(args, {}, dtype)

    def __init__(
        self,
        heads: int,
        head_size: int,
        out_dim: int | None = None,
        key_size: int | None = None,
        use_bias: bool = True,
        normalization: str = "softmax",
        attention_scale: bool = True,
        attention_dropout: float | None = None,
        return_attention_scores: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        key_norm: bool = False,
        **kwargs: Any,
    ):
        attention_scale = take_old_arguments("MultiHeadAttention", kwargs).get("attention_scale", attention_scale)
        super().__init__(**kwargs)
        self.heads, self.head_size = heads, head_size
        self.out_dim = out_dim or heads * head_size
        self.key_size = key_size or head_size
        self.use_bias, self.normalization, self.attention_scale = use_bias, normalization, attention_scale
        self.attention_dropout = attention_dropout or 0.0
        self.return_attention_scores = return_attention_scores
        self.kernel_initializer, self.key_norm = keras.initializers.get(kernel_initializer), key_norm

    def build(self, input_shape):
        shapes = input_shape if isinstance(input_shape[0], tuple | list) else [input_shape]
        query, key = shapes[0][-1], shapes[1 if len(shapes) > 1 else 0][-1]
        options = {"use_bias": self.use_bias, "kernel_initializer": self.kernel_initializer}
        self.q_dense = self.dense("q_dense", self.heads * self.key_size, query, **options)
        self.k_dense = self.dense("k_dense", self.heads * self.key_size, key, **options)
        self.v_dense = self.dense("v_dense", self.heads * self.head_size, key, **options)
        self.o_dense = self.dense("o_dense", self.out_dim, self.heads * self.head_size, **options)
        if self.attention_dropout:
            self._dropout = Dropout(self.attention_dropout, dtype=self.dtype_policy)
        self.build_parts()
        self.built = True

    def part_shape(self, kind: str) -> tuple[dict[str, Any], Any]:
        """Return what a part has to know of the layer."""
        if kind == "adapter":
            return {}, (None, None, self.out_dim)
        return {"heads": self.heads, "key_size": self.key_size, "head_size": self.head_size}, None

    def call(
        self,
        x,
        memory=None,
        attention_mask=None,
        rotary=None,
        bias=None,
        relative=None,
        previous_scores=None,
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
        """Attend from x to itself, or to `memory`.

        Args:
            x: (B, T, C). The classic form, a list [query, key, value, (bias), (position)], is understood too, with
                `a_bias` and `p_bias` ("rotary", "typical_relative", "t5_relative") saying what follows the value.
            memory: (B, S, C) to attend to; x if None.
            attention_mask: boolean, broadcasts to (B, H, T, S), true where a query may look. If None, the Keras mask
                of the keys (B, S) is used.
            rotary: (sin, cos) of the current positions, each (B | 1, T, key_size / 2).
            bias: broadcasts to (B, H, T, S), added to the scores.
            relative: (T, S, key_size) vectors per pair of positions.
            previous_scores: (B, H, T, S) scores of the layer before.
            cache: (keys, values), each (B, H, S, D), keys already rotated; the new ones are written at `index`. Empty:
                there is none yet, and those of this call are returned.
            index: position in the cache of the first of the T new positions; None if the cache is complete, as that
                of an encoder's output.
            return_weights: also return the weights (B, H, T, S), after all else.
            rerope: tables of `ReRopePosition`, in place of `rotary`.
            query_scale: (B, 1 | T, 1) factors of the scores of each query.

        Returns:
            (B, T, out_dim); with return_attention_scores also (B, H, T, S) scores; with a cache also the new cache.
        """
        # Keras hands masks over by one name if x is the only tensor, and by others if there are more.
        mask = x_mask if mask is None else mask
        if isinstance(x, list | tuple):
            given = classic_inputs(self, x, 3, a_bias, p_bias, mask)
            x, memory, value, attention_mask, bias, rotary, relative = given
        else:
            key_mask = mask if memory is None else memory_mask
            value = memory = x if memory is None else memory
            if attention_mask is None and not cache:
                attention_mask = hide_keys(None, key_mask)
        filled = index is None  # whether keys and values come from a cache
        query, key, value = self._project(x, memory, value, cache if filled else None)
        if query_scale is not None:
            query = query * ops.cast(ops.expand_dims(query_scale, -1), query.dtype)
        if rotary is not None:
            sin, cos = (ops.expand_dims(table, 2) for table in rotary)
            query = rotate(query, sin, cos)
        if not filled:
            key = unit_length(key) if self.key_norm else key
            if rotary is not None:
                key = rotate(key, sin, cos)
            if cache is not None:
                filled = bool(cache)
                cache = write_cache(cache, key, value, index)
                key, value = cache if filled else (key, value)
        query, key, others = (query, key, ()) if rerope is None else rerope_products(query, key, rerope, filled)
        drops = training and self.attention_dropout
        given = Attended(key, value, attention_mask, bias, relative, previous_scores, others)
        result = attend(
            query,
            **(given if self.prefix is None else self.prefix.before(given, filled))._asdict(),
            scale=None if self.attention_scale and not self.key_norm else 1.0,
            normalization=self.normalization,
            dropout=(lambda w: self._dropout(w, training=True)) if drops else None,
            dropped=self.attention_dropout if drops and self._dropout.is_left_to_gpu(query) else 0.0,
            return_scores=self.return_attention_scores,
            by_head=filled,
            return_weights=return_weights,
        )
        output, *rest = result if isinstance(result, tuple) else (result,)
        output = self.o_dense(merge_heads(output, self.heads * self.head_size))
        outputs = [output if self.adapter is None else self.adapter(output)]
        if self.return_attention_scores:
            outputs.append(rest[0] if self.prefix is None else rest[0][..., self.prefix.length :])
        if cache is not None:
            outputs.append(cache)
        if return_weights:
            outputs.append(rest[-1] if self.prefix is None else rest[-1][..., self.prefix.length :])
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _project(self, x, memory, value, kept):
        """Return queries (B, T, H, D), and keys and values (B, S, H, D), or those of a cache that is complete."""
        function = prepared(self.q_dense) if x is memory and x is value and kept is None else None
        joint = function.heads(x, self.head_size) if isinstance(function, JointProduct) else None
        if joint is not None:
            return joint
        query = split_heads(self.q_dense(x), self.heads, self.key_size)
        if kept is not None:
            return query, *kept
        key = split_heads(self.k_dense(memory), self.heads, self.key_size)
        return query, key, split_heads(self.v_dense(value), self.heads, self.head_size)

    def compute_mask(self, x, previous_mask=None):
        first = previous_mask[0] if isinstance(previous_mask, list | tuple) and previous_mask else previous_mask
        return [first, None] if self.return_attention_scores else first

    def compute_output_spec(self, x, memory=None, **kwargs):
        query, key = (x[0], x[1]) if isinstance(x, list | tuple) else (x, x if memory is None else memory)
        output = KerasTensor((*query.shape[:-1], self.out_dim), dtype=self.compute_dtype)
        if not self.return_attention_scores:
            return output
        return output, KerasTensor((query.shape[0], self.heads, query.shape[1], key.shape[1]), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        names = "heads head_size out_dim key_size use_bias normalization attention_scale attention_dropout"
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names.split()},
            "return_attention_scores": self.return_attention_scores,
            **({"key_norm": True} if self.key_norm else {}),
            "kernel_initializer": serialize_initializer(self.kernel_initializer),
        }
