"""Multi-head attention: one function on tensors, one layer around it."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import KerasTensor, ops

from bert4keras2.functional.functions import align, most_negative, normalize_scores, rotate
from bert4keras2.layers.base import Layer, register, serialize_initializer
from bert4keras2.old_names import take_old_arguments

__all__ = ["MultiHeadAttention", "attend"]

# What attention layers of a model are called with, besides caches.
DIRECT = {"attention_mask", "rotary", "bias", "relative"}

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

    Returns:
        (B, T, H, Dv), or that and (B, H, T, S) scores.
    """
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    plain = normalization == "softmax" and relative is None and dropout is None
    if plain and previous_scores is None and not return_scores and _prefers_fused(query, value):
        if bias is not None and mask is not None:
            # The fused kernel takes one of them.
            low = ops.cast(most_negative(query.dtype), query.dtype)
            bias, mask = ops.where(mask, ops.cast(bias, query.dtype), low), None
        if by_head:
            key, value = ops.swapaxes(key, 1, 2), ops.swapaxes(value, 1, 2)
        return ops.dot_product_attention(query, key, value, bias=bias, mask=mask, scale=scale)
    key = ops.transpose(key, (0, 1, 3, 2) if by_head else (0, 2, 3, 1))  # (B, H, D, S)
    value = value if by_head else ops.swapaxes(value, 1, 2)
    # Scores that nothing divides (T5) are large, and half precision would keep three digits of them.
    wide = (lambda x: ops.cast(x, "float32")) if scale == 1.0 else (lambda x: x)
    scores = ops.matmul(wide(ops.swapaxes(query, 1, 2)), wide(key))
    if relative is not None:
        scores = scores + ops.cast(_with_pairs(query, relative, "bthd,pairs->bhts"), scores.dtype)
    scores = ops.cast(scores, "float32") * scale
    raw = scores
    if previous_scores is not None:
        scores = scores + ops.cast(previous_scores, "float32")
    if bias is not None:
        scores = scores + ops.cast(bias, "float32")
    weights = ops.cast(normalize_scores(scores, mask, normalization), value.dtype)
    if dropout is not None:
        weights = dropout(weights)
    output = ops.matmul(weights, value)
    if relative is not None:
        output = output + ops.cast(_with_pairs(weights, relative, "bhts,pairs->bhtd"), output.dtype)
    output = ops.swapaxes(output, 1, 2)
    return (output, raw) if return_scores else output


def _with_pairs(x, pairs, equation: str):
    """Return the einsum of a tensor and vectors per pair of positions, (T, S, D) or (B, T, S, D)."""
    if keras.backend.backend() == "tensorflow":
        # Its einsum sums bfloat16 in bfloat16 where the CPU has no such unit: 4096 keys would be off by half.
        x, pairs = ops.cast(x, "float32"), ops.cast(pairs, "float32")
    return ops.einsum(equation.replace("pairs", "tsd" if len(pairs.shape) == 3 else "btsd"), x, pairs)


def _prefers_fused(query, value) -> bool:
    """Whether the backend has a fused kernel worth using: torch has, XLA fuses the einsums by itself."""
    return keras.backend.backend() == "torch" and query.shape[-1] == value.shape[-1]


def write_cache(cache, key, value, index):
    """Return (keys, values) of a cache, each (B, H, S, D), with T new positions (B, T, H, D) written from `index` on.

    An empty cache becomes one of these positions alone.
    """
    new = ops.swapaxes(key, 1, 2), ops.swapaxes(value, 1, 2)
    if not cache:
        return new
    return tuple(
        ops.slice_update(old, (0, 0, index, 0), ops.cast(x, old.dtype)) for old, x in zip(cache, new, strict=True)
    )


class AttentionInputs(NamedTuple):
    """What an attention layer is called with, in whichever form."""

    query: Any  # (B, T, C)
    memory: Any  # (B, S, C) what keys are made of
    value: Any  # (B, S, C) what values are made of
    attention_mask: Any = None  # boolean, broadcasts to (B, H, T, S)
    bias: Any = None  # broadcasts to (B, H, T, S)
    rotary: Any = None  # (sin, cos), each (B | 1, T, D / 2)
    relative: Any = None  # (T, S, D)


def classic_inputs(layer, tensors: list, count: int, a_bias: bool | None, p_bias: str | None, mask) -> AttentionInputs:
    """Return what the classic form of a call says: a list of tensors, and two words about those that follow the values.

    Args:
        layer: the attention layer, whose scale T5's biases share in the classic form.
        tensors: [query, key, value] if `count` is 3, [x] if it is 1; then a bias if `a_bias`, a position table if
            `p_bias`.
        count: how many tensors are attended from and to.
        a_bias: whether the next one is a bias, boolean or added, (T, S), (B, T, S) or (B, H, T, S).
        p_bias: "rotary", "typical_relative" or "t5_relative".
        mask: Keras masks of the tensors; that of the values hides keys.

    Raises:
        ValueError: for another `p_bias`, or tensors that neither argument speaks of.
    """
    own, rest = list(tensors[:count]), list(tensors[count:])
    attention_mask = rotary = relative = None
    bias = rest.pop(0) if a_bias else None
    if bias is not None:
        bias = bias if len(bias.shape) != 3 else ops.expand_dims(bias, 1)
        if "bool" in str(bias.dtype):
            attention_mask, bias = (bias if len(bias.shape) == 4 else align(bias, [2, 3], 4)), None
    position = rest.pop(0) if p_bias else None
    if p_bias == "rotary":
        rotary = position[..., 0::2], position[..., 1::2]
    elif p_bias == "typical_relative":
        relative = position
    elif p_bias == "t5_relative":
        position = ops.expand_dims(ops.transpose(position, (2, 0, 1)), 0)
        position = position * layer.key_size**-0.5 if layer.attention_scale else position
        bias = position if bias is None else bias + position
    elif p_bias is not None:
        raise ValueError(f"p_bias is 'rotary', 'typical_relative' or 't5_relative', not {p_bias!r}")
    if rest:
        raise ValueError(f"{layer.name} got {len(rest)} inputs too many: say with a_bias and p_bias what they are")
    masks = mask if isinstance(mask, list | tuple) else [mask] if count == 1 else []
    attention_mask = hide_keys(attention_mask, masks[count - 1] if len(masks) >= count else None)
    query, memory, value = own if count == 3 else own * 3
    return AttentionInputs(query, memory, value, attention_mask, bias, rotary, relative)


def hide_keys(attention_mask, key_mask):
    """Return an attention mask that also hides the keys whose Keras mask (B, S) is false; either may be None."""
    if key_mask is None:
        return attention_mask
    key_mask = align(ops.cast(key_mask, "bool"), [0, 3], 4)
    return key_mask if attention_mask is None else ops.logical_and(attention_mask, key_mask)


@register
class MultiHeadAttention(Layer):
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
    """

    direct_call = True

    def called_directly(self, args, kwargs):
        # Without dropout nothing depends on training, and with a mask that is given nothing on Keras' masks.
        usual = (
            kwargs.get("attention_mask") is not None and not self.attention_dropout and not self.return_attention_scores
        )
        return usual and kwargs.keys() <= DIRECT and super().called_directly(args, {})

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
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        shapes = input_shape if isinstance(input_shape[0], tuple | list) else [input_shape]
        query, key = shapes[0][-1], shapes[1 if len(shapes) > 1 else 0][-1]
        options = {"use_bias": self.use_bias, "kernel_initializer": self.kernel_initializer}
        self.q_dense = self.dense("q_dense", self.heads * self.key_size, query, **options)
        self.k_dense = self.dense("k_dense", self.heads * self.key_size, key, **options)
        self.v_dense = self.dense("v_dense", self.heads * self.head_size, key, **options)
        self.o_dense = self.dense("o_dense", self.out_dim, self.heads * self.head_size, **options)
        if self.attention_dropout:
            self._dropout = keras.layers.Dropout(self.attention_dropout, dtype=self.dtype_policy)
        self.built = True

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
        query = self._split(self.q_dense(x), self.key_size)
        if rotary is not None:
            sin, cos = (ops.expand_dims(table, 2) for table in rotary)
            query = rotate(query, sin, cos)
        filled = index is None  # whether keys and values come from a cache
        if filled:
            key, value = cache
        else:
            key = self._split(self.k_dense(memory), self.key_size)
            value = self._split(self.v_dense(value), self.head_size)
            if rotary is not None:
                key = rotate(key, sin, cos)
            if cache is not None:
                filled = bool(cache)
                cache = write_cache(cache, key, value, index)
                key, value = cache if filled else (key, value)
        result = attend(
            query,
            key,
            value,
            attention_mask,
            bias,
            relative,
            scale=None if self.attention_scale else 1.0,
            normalization=self.normalization,
            dropout=(lambda w: self._dropout(w, training=True)) if training and self.attention_dropout else None,
            previous_scores=previous_scores,
            return_scores=self.return_attention_scores,
            by_head=filled,
        )
        output, scores = result if self.return_attention_scores else (result, None)
        output = ops.reshape(output, (*ops.shape(output)[:2], self.heads * self.head_size))
        outputs = [self.o_dense(output)]
        if self.return_attention_scores:
            outputs.append(scores)
        if cache is not None:
            outputs.append(cache)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _split(self, x, size: int):
        return ops.reshape(x, (*ops.shape(x)[:2], self.heads, size))

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
            "kernel_initializer": serialize_initializer(self.kernel_initializer),
        }
