"""What layers of linear cost know of padding and direction: one flag for each token in place of one for each pair."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

__all__ = ["Visible", "refuse_pairs", "visibility"]


class Visible(NamedTuple):
    """Which tokens count, and which of them see what follows."""

    tokens: Any  # (B, T) booleans, true at real tokens; None: all of them
    order: Any  # (B, T) integers of UniLM: a token sees those of no higher number; None: one direction or both
    count: Any  # (B,) or scalar, float32: how many real tokens there are


def visibility(x: Any, mask: Any, segment_ids: Any, causal: bool) -> Visible:
    """Return what a layer may see of x.

    Args:
        x: (B, T, C).
        mask: (B, 1, 1, T) or (B, T), true at real tokens; None if all are.
        segment_ids: (B, T): those before the first 1 see each other both ways; None for a plain text.
        causal: whether the layer looks back only.

    Raises:
        ValueError: for a mask with a row for each query, or segment ids of a layer that looks both ways.
    """
    if segment_ids is not None and not causal:
        raise ValueError("segment_ids say which tokens see each other both ways: the layer needs causal=True")
    refuse_pairs(mask)
    if mask is not None and len(mask.shape) == 4:
        mask = mask[:, 0, 0]
    tokens = None if mask is None else ops.cast(mask, "bool")
    count = ops.cast(ops.shape(x)[1], "float32") if tokens is None else ops.sum(ops.cast(tokens, "float32"), axis=1)
    order = None if segment_ids is None else ops.cumsum(ops.cast(segment_ids, "int32"), axis=1)
    return Visible(tokens, order, count)


def refuse_pairs(mask: Any) -> None:
    """Raise for a mask that is not (B, 1, 1, T) or (B, T): when a graph is built too, before any number is there.

    Raises:
        ValueError: then. Texts packed into one row have such a mask.
    """
    if mask is not None and len(mask.shape) != 2 and (len(mask.shape) != 4 or tuple(mask.shape[1:3]) != (1, 1)):
        raise ValueError(
            f"attention_mask is (B, 1, 1, T) or (B, T), true at real tokens, not {tuple(mask.shape)}: a layer of "
            "linear cost has no pairs that could be hidden one by one. Several texts in a row need another one"
        )
