"""Axes of heads, and attention over them, by PyTorch itself where tensors are its own: Keras' ops look through their
arguments at each call, which is more than such a view takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from bert4keras2.functional.functions import hiding, is_torch_tensor
from bert4keras2.functional.prepared import in_step

__all__ = ["by_heads", "cut", "fused_attention", "merge_heads", "put_at", "split_heads", "takes_own_kernel", "writable"]

# Set on tensors of PyTorch.
WRITABLE, NUMBERS = "bert4keras2_writable", "bert4keras2_numbers"


def split_heads(x: Any, heads: int, size: int) -> Any:
    """Return (B, T, H, D) for x (B, T, H * D)."""
    if is_torch_tensor(x):
        return x.unflatten(-1, (heads, size))
    return ops.reshape(x, (*ops.shape(x)[:2], heads, size))


def merge_heads(x: Any, width: int) -> Any:
    """Return (B, T, H * D) for x (B, T, H, D).

    Args:
        x: the tensor.
        width: H * D.
    """
    if is_torch_tensor(x):
        return x.flatten(-2)
    return ops.reshape(x, (*ops.shape(x)[:2], width))


def cut(x: Any, *sizes: int) -> Any:
    """Return the parts of a tensor's last axis (..., sum of sizes) that have these sizes."""
    if is_torch_tensor(x):
        return x.split(sizes, dim=-1)
    return ops.split(x, np.cumsum(sizes[:-1]).tolist(), axis=-1)


def put_at(kept: Any, new: Any, index: Any) -> Any:
    """Return keys or values (B, H, S, D) with others (B, H, T, D) in the places from an index on.

    On PyTorch, what `writable` returned is written into and returned itself.
    """
    if not is_torch_tensor(kept) or not is_torch_tensor(new):
        return ops.slice_update(kept, (0, 0, index, 0), ops.cast(new, kept.dtype))
    kept, count = kept if getattr(kept, WRITABLE, False) else kept.clone(), new.shape[2]
    if kept.device.type == "cpu" or isinstance(index, int):
        kept.narrow(2, int(index), count).copy_(new)
        return kept
    import torch

    # Whoever asks for the index waits for all that a GPU has under way.
    places = index + torch.arange(count, device=kept.device)
    return kept.index_copy_(2, places, new.to(kept.dtype))


def writable(kept: Any, fresh: bool = False) -> Any:
    """Return keys or values that `put_at` may write into: a loop over tokens would copy all of them for each one.

    Args:
        kept: (B, H, S, D).
        fresh: whether nobody else has them; a copy is made if not.
    """
    if is_torch_tensor(kept):  # elsewhere a compiled loop does so by itself
        kept = kept if fresh else kept.clone()
        setattr(kept, WRITABLE, True)
    return kept


def by_heads(x: Any) -> Any:
    """Return (B, H, T, D) for x (B, T, H, D), and the other way round."""
    return x.transpose(1, 2) if is_torch_tensor(x) else ops.swapaxes(x, 1, 2)


def takes_own_kernel(query: Any, key: Any, value: Any, *others: Any) -> bool:
    """Whether PyTorch's kernel takes these tensors as they are; the others may be None."""
    own = all(map(is_torch_tensor, (query, key, value))) and all(x is None or is_torch_tensor(x) for x in others)
    return own and query.dtype == key.dtype == value.dtype


def fused_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any,
    mask: Any,
    scale: float,
    by_head: bool = False,
    dropped: float = 0.0,
) -> Any:
    """Return (B, T, H, D): attention without a tensor of all scores.

    Args:
        query: (B, T, H, D).
        key, value: (B, S, H, D), or (B, H, S, D) if `by_head`.
        bias: broadcasts to (B, H, T, S), added to the scaled scores; None without one.
        mask: booleans instead, true where a query may look; a row without any looks at all keys alike.
        scale: factor of the scores.
        by_head: how keys and values lie.
        dropped: share of the weights that is dropped, where `takes_own_kernel` holds.
    """
    if not takes_own_kernel(query, key, value, bias, mask):
        key, value = map(by_heads, (key, value)) if by_head else (key, value)
        return ops.dot_product_attention(query, key, value, bias=bias, mask=mask, scale=scale)
    import torch

    if mask is not None:
        bias = _as_numbers(mask, query.dtype)
    elif bias is not None:
        bias = bias.to(query.dtype)
    key, value = (key, value) if by_head else (key.transpose(1, 2), value.transpose(1, 2))
    found = torch.nn.functional.scaled_dot_product_attention(
        query.transpose(1, 2), key, value, attn_mask=bias, dropout_p=dropped, scale=scale
    )
    return found.transpose(1, 2)


def _as_numbers(mask: Any, dtype: Any) -> Any:
    """Return what is added to scores for a mask of booleans: the kernel itself makes NaN of a row without any key.

    In a step of decoding all blocks share a mask, which nobody writes into: the numbers stay with it.
    """
    found = getattr(mask, NUMBERS, None) if in_step() else None
    if found is None or found.dtype != dtype:
        found = hiding(mask, dtype)
        if in_step():
            setattr(mask, NUMBERS, found)
    return found
