"""The classic form of calling attention layers: a list of tensors, and two words about what they are."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from bert4keras2.functional.functions import align

__all__ = ["AttentionInputs", "classic_inputs", "hide_keys"]

# Shape legend: B batch, T query length, S key length, H heads, D head size, C width.


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
