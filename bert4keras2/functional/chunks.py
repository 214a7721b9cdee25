"""Sequences cut into chunks, and sums over the chunks before each: what causal attention of linear cost is made of."""

from __future__ import annotations

from typing import Any

from keras import ops

from bert4keras2.functional.functions import divisible_temporal_padding, visible_only, wide

__all__ = ["chunk_length", "earlier_chunks", "from_chunks", "to_chunks", "visible_sums"]

# Shape legend: B batch, T length, G chunks, c length of a chunk, D size of keys, U size of values.


def chunk_length(x: Any, size: int) -> Any:
    """Return the length of a chunk of x (B, T, ...): `size`, or T where all of it fits into one."""
    length = ops.shape(x)[1]
    return min(size, max(length, 1)) if isinstance(length, int) else ops.minimum(size, ops.maximum(length, 1))


def to_chunks(x: Any, size: Any) -> Any:
    """Return x (B, T, ...) as chunks (B, G, c, ...), the last one filled up with zeros."""
    x = divisible_temporal_padding(x, size)
    shape = ops.shape(x)
    return ops.reshape(x, (shape[0], shape[1] // size, size, *shape[2:]))


def from_chunks(x: Any, length: Any) -> Any:
    """Return chunks (B, G, c, ...) as one sequence (B, T, ...) without what filled up the last one."""
    shape = ops.shape(x)
    return ops.reshape(x, (shape[0], shape[1] * shape[2], *shape[3:]))[:, :length]


def earlier_chunks(x: Any) -> Any:
    """Return for each chunk of x (B, G, ...) the sum over those before it, zeros for the first."""
    total = ops.cumsum(x, axis=1)
    return ops.concatenate([ops.zeros_like(total[:, :1]), total[:, :-1]], axis=1)


def visible_sums(keys: Any, values: Any, visible: Any) -> Any:
    """Return (..., D, U), in float32 at least: the sum of k v^T over the visible positions.

    Args:
        keys: (..., S, D).
        values: (..., S, U).
        visible: (..., S) booleans; None shows all.
    """
    if visible is not None:
        shown = ops.expand_dims(visible, -1)
        keys, values = visible_only(keys, shown), visible_only(values, shown)
    return wide(ops.matmul(ops.swapaxes(keys, -1, -2), values))
