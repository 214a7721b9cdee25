"""Sequences of tokens: padding to one length and cutting to a common budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from bert4keras2.old_names import current_arguments

__all__ = ["round_up", "sequence_padding", "truncate_sequences"]


def round_up(n: int, multiple: int) -> int:
    """Return the smallest multiple of `multiple` that is not below `n`."""
    if multiple < 1:
        raise ValueError(f"multiple must be a positive integer, got {multiple!r}")
    return math.ceil(n / multiple) * multiple


def sequence_padding(
    inputs: Sequence[Any],
    length: int | Sequence[int] | None = None,
    value: float = 0,
    seq_dims: int = 1,
    mode: str = "post",
    multiple: int | Sequence[int] | None = None,
    **old: Any,
) -> np.ndarray:
    """Pad (and cut) sequences to one length and stack them.

    Args:
        inputs: a list of lists or arrays; beyond the first `seq_dims` axes their shapes are equal.
        length: the length of the result, one number for each of the `seq_dims` axes; the longest by default.
            Longer sequences keep their beginning.
        value: what is filled in.
        seq_dims: how many leading axes of each item are padded.
        mode: "post" fills in behind a sequence, "pre" before it.
        multiple: round the longest length up to a multiple of this (one number, or one for each axis), so that
            training meets few shapes. Not together with `length`.
        **old: arguments of earlier releases: padding, which is `value`.

    Returns:
        An array (len(inputs), *lengths, ...) of the common dtype of the items; empty items have no say in it.

    Raises:
        ValueError: if there are no sequences, if their shapes do not fit, or if an argument is out of range.
    """
    if old:
        value = current_arguments("sequence_padding", old)["value"]
    if mode not in ("post", "pre"):
        raise ValueError(f'mode must be "post" or "pre", got {mode!r}')
    if seq_dims < 1:
        raise ValueError(f"seq_dims must be at least 1, got {seq_dims!r}")
    if len(inputs) == 0:
        raise ValueError("sequence_padding got no sequences; an empty batch has no length to pad to")
    rows = [_as_row(row, i, value, seq_dims, mode) for i, row in enumerate(inputs)]
    filled = [row for row in rows if row.size] or rows
    rest = filled[0].shape[seq_dims:]
    for i, row in enumerate(rows):
        if row.size and row.shape[seq_dims:] != rest:
            raise ValueError(
                f"sequence_padding pads the first {seq_dims} axes (seq_dims={seq_dims}), so the others must agree:"
                f" item {i} has shape {row.shape}, expected (..., {', '.join(map(str, rest))})"
            )
    sizes = _sizes(rows, length, seq_dims, multiple)
    dtype = np.result_type(*{row.dtype for row in filled})
    if dtype.kind in "iu" and value != int(value if math.isfinite(value) else 0):
        raise ValueError(f"value={value!r} cannot be stored among integers ({dtype}); give the sequences a float dtype")
    outputs = np.full((len(rows), *sizes, *rest), value, dtype)
    if seq_dims == 1:
        (size,) = sizes
        for output, row in zip(outputs, rows, strict=True):
            count = len(row)
            if count == 0:
                continue
            if count >= size:
                output[:] = row[:size]
            elif mode == "post":
                output[:count] = row
            else:
                output[size - count :] = row
        return outputs
    for output, row in zip(outputs, rows, strict=True):
        if row.size:
            counts = [min(have, size) for have, size in zip(row.shape, sizes, strict=False)]
            source = tuple(slice(count) for count in counts)
            starts = [0 if mode == "post" else size - count for count, size in zip(counts, sizes, strict=True)]
            place = tuple(slice(start, start + count) for start, count in zip(starts, counts, strict=True))
            output[place] = row[source]
    return outputs


def _as_row(row: Any, index: int, value: float, seq_dims: int, mode: str) -> np.ndarray:
    """Return one item as an array of at least `seq_dims` axes; nested lists of unequal lengths are padded inside."""
    nested = seq_dims > 1 and isinstance(row, list | tuple) and len(row)
    if nested and len({np.shape(part)[:1] if hasattr(part, "shape") else len(part) for part in row}) > 1:
        return sequence_padding(row, value=value, seq_dims=seq_dims - 1, mode=mode)
    try:
        array = np.asarray(row)
    except ValueError as error:
        raise ValueError(
            f"sequence_padding: item {index} is nested and its parts differ in length; pad two axes with seq_dims=2"
        ) from error
    if array.ndim < seq_dims:
        if array.ndim and array.size == 0:
            return array.reshape(array.shape + (0,) * (seq_dims - array.ndim))
        raise ValueError(
            f"sequence_padding: item {index} has {array.ndim} axes, expected at least {seq_dims} (seq_dims={seq_dims});"
            " `inputs` is a list of sequences"
        )
    return array


def _sizes(rows, length, seq_dims, multiple) -> list[int]:
    """Return the padded length of each of the `seq_dims` axes."""
    if length is not None:
        if multiple is not None:
            raise ValueError("Give sequence_padding either length (the exact size) or multiple (round up), not both")
        return _per_axis("length", length, seq_dims, 0)
    sizes = [max(row.shape[axis] for row in rows) for axis in range(seq_dims)]
    if multiple is None:
        return sizes
    multiples = [multiple] * seq_dims if np.ndim(multiple) == 0 else multiple
    multiples = _per_axis("multiple", multiples, seq_dims, 1)
    return [round_up(size, step) for size, step in zip(sizes, multiples, strict=True)]


def _per_axis(name: str, numbers: Any, seq_dims: int, smallest: int) -> list[int]:
    given = [numbers] if np.ndim(numbers) == 0 else list(numbers)
    if len(given) != seq_dims or any(int(number) != number or number < smallest for number in given):
        raise ValueError(
            f"{name} must be one integer (at least {smallest}) for each of the {seq_dims} padded axes, got {numbers!r}"
        )
    return [int(number) for number in given]


def truncate_sequences(maxlen: int, indices: int | Sequence[int], *sequences: list | None) -> list[list]:
    """Shorten lists in place until their lengths sum to `maxlen` or less, always taking from the longest.

    Args:
        maxlen: the budget for all lists together.
        indices: where an item is taken out of a list (-1 the end, 0 the beginning), one number or one for each
            list that is not empty.
        sequences: the lists; they are changed. None and empty lists are left out of the result.

    Returns:
        The lists that are not empty, the same objects.

    Raises:
        TypeError: if a sequence is not a list.
        ValueError: if `maxlen` is negative or `indices` are too few.
        IndexError: if an index lies outside its list.
    """
    if maxlen < 0:
        raise ValueError(f"maxlen must not be negative, got {maxlen!r}")
    for number, sequence in enumerate(sequences):
        if sequence is not None and not hasattr(sequence, "pop"):
            raise TypeError(
                f"truncate_sequences shortens lists in place, but sequence {number} is a {type(sequence).__name__};"
                " pass list(...) and use the returned lists"
            )
    kept = [sequence for sequence in sequences if sequence is not None and len(sequence)]
    places = [indices] * len(kept) if np.ndim(indices) == 0 else list(indices)
    if len(places) < len(kept):
        raise ValueError(f"indices has {len(places)} numbers for {len(kept)} sequences: {indices!r}")
    lengths = [len(sequence) for sequence in kept]
    for _ in range(sum(lengths) - maxlen):
        longest = lengths.index(max(lengths))
        try:
            kept[longest].pop(places[longest])
        except IndexError:
            raise IndexError(
                f"truncate_sequences cannot take item {places[longest]} out of a list of {lengths[longest]} items;"
                " indices count from the beginning (0, 1, ...) or from the end (-1, -2, ...)"
            ) from None
        lengths[longest] -= 1
    return kept
