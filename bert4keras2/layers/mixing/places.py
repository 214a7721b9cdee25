"""What layers share whose weights belong to places in the text: rows and columns of a table, masks, what is kept."""

from __future__ import annotations

from typing import Any

from keras import ops

from bert4keras2.functional.functions import visible_only

__all__ = ["check_length", "columns_at", "kept", "places_of", "weighted_sum"]


def places_of(x: Any, places: Any) -> tuple[Any, Any]:
    """Return the places of queries (1 | B, T) and keys (1 | B, S): 0, 1, 2... of x (B, T, C) if None are given."""
    if places is not None:
        return tuple(ops.cast(place, "int32") for place in places)
    place = ops.expand_dims(ops.arange(ops.shape(x)[1], dtype="int32"), 0)
    return place, place


def check_length(layer: Any, x: Any, limit: int) -> None:
    """Raise if x (B, T, C) is known to be longer than a layer's table of places.

    Raises:
        ValueError: then, with both numbers.
    """
    length = x.shape[1]
    if isinstance(length, int) and length > limit:
        raise ValueError(
            f"{layer.name} has weights for {limit} places, and the text has {length} tokens: shorten it (maxlen of the "
            "tokenizer), or build the model with a larger max_position"
        )


def columns_at(rows: Any, places: Any, count: Any) -> Any:
    """Return the columns of rows (1 | B, ..., N) that belong to places (1 | B, S), if None the first `count` = S ones.

    To look up the first ones of each row by their numbers takes longer than all else that a layer does.
    """
    if places is None:
        return rows[..., :count]
    if places.shape[0] == 1:
        return ops.take(rows, places[0], axis=-1)
    batch, extra = ops.shape(places)[0], len(rows.shape) - 2
    index = ops.reshape(places, (batch, *[1] * extra, ops.shape(places)[1]))
    shape = (batch, *ops.shape(rows)[1:-1], ops.shape(places)[1])
    rows = ops.broadcast_to(rows, (batch, *ops.shape(rows)[1:]))
    return ops.take_along_axis(rows, ops.broadcast_to(index, shape), axis=-1)


def weighted_sum(weights: Any, x: Any, attention_mask: Any) -> Any:
    """Return (B, T, C): weights (1 | B, T, S) times x (B, S, C), as far as a mask shows it.

    Args:
        weights: of pairs of places.
        x: what is mixed.
        attention_mask: (B, 1, 1 | T, S) booleans; None shows all.
    """
    if attention_mask is None:
        return ops.matmul(weights, x)
    if attention_mask.shape[2] == 1:
        # One row for all queries: hiding what is mixed needs no weights for each text.
        shown = ops.expand_dims(attention_mask[:, 0, 0], -1)
        return ops.matmul(weights, visible_only(x, shown))
    shown = attention_mask[:, 0]
    return ops.matmul(visible_only(weights, shown), x)


def kept(cache: Any, new: tuple[Any, ...], index: Any) -> tuple[tuple[Any, ...], bool]:
    """Return what a cache holds with new tensors (B, T, H, D) written from `index` on, each (B, H, S, D).

    Args:
        cache: tensors (B, H, S, D), empty if there are none yet.
        new: of the T tokens of this call.
        index: where they stand.

    Returns:
        The tensors, and whether they hold earlier tokens too.
    """
    new = tuple(ops.swapaxes(x, 1, 2) for x in new)
    if not cache:
        return new, False
    pairs = zip(cache, new, strict=True)
    return tuple(ops.slice_update(old, (0, 0, index, 0), ops.cast(x, old.dtype)) for old, x in pairs), True
