"""Moving weights between a checkpoint and a model's variables: match everything first, then assign one by one."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bert4keras2.checkpoints import naming_hf, naming_hf_t5_gpt2, naming_t5, naming_tf
from bert4keras2.checkpoints.errors import CheckpointError
from bert4keras2.checkpoints.readers import Reader
from bert4keras2.checkpoints.table import Part, Table

__all__ = ["Binding", "CheckpointMismatchError", "load_bindings", "saved_arrays", "table_for"]


class CheckpointMismatchError(CheckpointError, ValueError):
    """The checkpoint is readable but does not hold what the model needs."""


@dataclass
class Binding:
    """One variable of the model and what it is in the checkpoint.

    Args:
        variable: the Keras variable.
        path: its path without the model's prefix.
        names: names that it may have in the checkpoint, the usual one first.
        transpose: it is stored transposed.
        forward: changes the stored array (already transposed) to the model's, such as picking rows of the vocabulary.
        part: it is one of the parts of the stored array.
        resize: called with (array, shape) where shapes differ, if the model resizes weights; None otherwise.
    """

    variable: Any
    path: str
    names: list[str]
    transpose: bool = False
    part: Part | None = None
    forward: Callable[[np.ndarray], np.ndarray] | None = None
    resize: Callable[[np.ndarray, tuple[int, ...]], np.ndarray] | None = None
    found: str | None = field(default=None, init=False)


def table_for(family: str, source: str, names: Container[str] = ()) -> Table:
    """Return the names that a source uses for a family.

    Args:
        family: the family's name.
        source: "tensorflow", or "huggingface" for safetensors and torch.
        names: of the checkpoint's variables, or its reader: they decide where a family's files have several layouts.

    Raises:
        CheckpointMismatchError: if the source has none for the family.
    """
    if source == "tensorflow":
        for sign, table in naming_tf.ALTERNATIVES.get(family, ()):
            if sign in names:
                return table
        tables = {**naming_tf.TABLES, **naming_t5.TABLES}
    else:
        tables = {**naming_hf.TABLES, **naming_hf_t5_gpt2.TABLES}
    if family not in tables:
        raise CheckpointMismatchError(f"There are no {source} names for the family {family!r}")
    return tables[family]


def rooted(names: list[str], root: str) -> list[str]:
    """Return names with the root before them, but for those of heads, which begin with a slash."""
    return [name[1:] if name.startswith("/") else root + name for name in names]


def find_root(table: Table, bindings: list[Binding], reader: Reader) -> str:
    """Return the table's prefix under which most variables of the checkpoint are found."""
    hits = {root: sum(any(n in reader for n in rooted(b.names, root)) for b in bindings) for root in table.roots}
    return max(table.roots, key=lambda root: hits[root])


def load_bindings(
    reader: Reader, bindings: list[Binding], table: Table, ignore_invalid: bool = False, hint: str = ""
) -> None:
    """Assign a checkpoint's variables to the model's, after all of them have been matched.

    Args:
        reader: the open checkpoint.
        bindings: what to fill.
        table: the names' table, which knows what may be left over.
        ignore_invalid: leave variables as they are that are missing or have another shape, with one warning.
        hint: a sentence for the error about which model would have fitted.

    Raises:
        CheckpointMismatchError: one error that lists everything that does not fit.
    """
    root = find_root(table, bindings, reader)
    missing: list[str] = []
    shapes: dict[str, str] = {}  # by stored array: the parts of one fail together
    for binding in bindings:
        candidates = rooted(binding.names, root)
        binding.found = next((name for name in candidates if name in reader), None)
        if binding.found is None:
            missing.append(f"{candidates[0]} (for {binding.path})")
        elif problem := _shape_problem(reader, binding):
            shapes.setdefault(binding.found, problem)
            if ignore_invalid:
                binding.found = None
    used = {name for b in bindings for name in rooted(b.names, root)}
    unexpected = [name for name in reader.names() if name not in used and not table.silent(name)]
    if missing or shapes:
        message = _report(reader, missing, list(shapes.values()), unexpected, hint)
        if not ignore_invalid:
            raise CheckpointMismatchError(message)
        warnings.warn(f"{message}\nThese keep their initial values (ignore_invalid_weights=True).", stacklevel=2)
    elif unexpected:
        warnings.warn(f"{reader.path}: the model does not use {_listed(unexpected, used)}", stacklevel=2)
    by_name: dict[str, list[Binding]] = {}
    for binding in bindings:
        if binding.found is not None:
            by_name.setdefault(binding.found, []).append(binding)
    for name, parts in by_name.items():
        array = reader.read(name)
        for binding in parts:
            binding.variable.assign(_convert(array, binding))
        del array  # or it would stay alive while the next one is read


def _listed(unexpected: list[str], used: set[str]) -> str:
    """Return the names in short: the first eight, and blocks of which the model has none by their numbers alone."""
    known = {_block(name) for name in used}
    blocks = sorted({block for name in unexpected if (block := _block(name)) is not None and block not in known})
    names = [name for name in unexpected if _block(name) not in blocks]
    parts = [", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")] if names else []
    if blocks:
        whole = len(blocks) > 1 and blocks == list(range(blocks[0], blocks[-1] + 1))
        listed = f"{blocks[0]} to {blocks[-1]}" if whole else ", ".join(map(str, blocks))
        parts.append(
            f"layer{'s' if len(blocks) > 1 else ''} {listed} (it has {len(known - {None})}: num_hidden_layers)"
        )
    return ", and ".join(parts)


def _block(name: str) -> int | None:
    """Return the number of the block that a variable's name is of, None outside of blocks."""
    match = re.search(r"(?:^|[/.])(?:(?:layer|block)[_.]|h\.?)(\d+)[/.]", name)
    return int(match[1]) if match else None


def _stored_shape(reader: Reader, binding: Binding) -> tuple[int, ...]:
    """Return the shape that a variable has in the checkpoint, as the model has it."""
    shape = tuple(reader.shape(binding.found))
    if len(shape) == len(binding.variable.shape) + 1 and shape[0] == 1:
        shape = shape[1:]  # a matrix stored as a convolution of width 1
    if binding.part is not None and len(shape) > 0 and shape[binding.part.axis] % binding.part.count == 0:
        axis = binding.part.axis % len(shape)
        shape = (*shape[:axis], shape[axis] // binding.part.count, *shape[axis + 1 :])
    elif binding.part is not None:
        return (-1,) * len(shape)  # fits nothing
    return shape[::-1] if binding.transpose else shape


def _shape_problem(reader: Reader, binding: Binding) -> str | None:
    """Return a line about a shape that does not fit, or None."""
    stored, wanted = _stored_shape(reader, binding), tuple(binding.variable.shape)
    if binding.resize is not None and len(stored) == len(wanted) and -1 not in stored:
        return None
    if binding.forward is not None:
        wanted = binding.forward.stored_shape(wanted)
    if stored == wanted:
        return None
    if binding.part is None:
        return f"{binding.found}: {list(stored)} in the file, {list(wanted)} in the model ({binding.path})"
    part = f"part {binding.part.index + 1} of {binding.part.count}: {binding.path}"
    return f"{binding.found}: {list(reader.shape(binding.found))} in the file, {list(wanted)} in the model ({part})"


def _convert(array: np.ndarray, binding: Binding) -> np.ndarray:
    """Return the model's array for a stored one."""
    array = np.asarray(array)
    if array.ndim == len(binding.variable.shape) + 1:
        array = array[0]
    if binding.part is not None:
        array = np.split(array, binding.part.count, binding.part.axis)[binding.part.index]
    if binding.transpose:
        array = array.T
    if array.dtype != np.float32 and array.dtype.kind not in "iu":
        array = array.astype(np.float32)
    if binding.forward is not None:
        array = binding.forward(array)
    if tuple(array.shape) != tuple(binding.variable.shape):
        array = binding.resize(array, tuple(binding.variable.shape))
    return array


def _report(reader: Reader, missing: list[str], shapes: list[str], unexpected: list[str], hint: str) -> str:
    """Return one message that lists everything that does not fit, ten lines of each kind at most."""
    lines = [f"The checkpoint {reader.path} does not fit the model."]
    for title, items in (
        ("The model needs, and the file lacks", missing),
        ("Shapes differ", shapes),
        ("The file has, and the model does not use", unexpected if missing else []),
    ):
        if items:
            lines.append(f"{title} ({len(items)}):")
            lines += [f"  {item}" for item in items[:10]] + (
                [f"  ... and {len(items) - 10} more"] if len(items) > 10 else []
            )
    return "\n".join([*lines, hint] if hint else lines)


def saved_arrays(bindings: list[Binding], table: Table, dtype: str | None = None) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, array) of every bound variable as the checkpoint stores it, one at a time.

    Args:
        bindings: the model's variables and their names.
        table: the names' table.
        dtype: type of the floating arrays; their own if None.

    Raises:
        CheckpointMismatchError: if the model lacks a part of an array.
    """
    from keras import ops

    by_name: dict[str, list[Binding]] = {}
    for binding in bindings:
        by_name.setdefault(rooted(binding.names, table.roots[0])[0], []).append(binding)
    for name, parts in by_name.items():
        parts.sort(key=lambda binding: binding.part.index if binding.part else 0)
        arrays = []
        for binding in parts:
            array = ops.convert_to_numpy(binding.variable)
            if dtype is not None and array.dtype.kind == "f":
                array = array.astype(dtype)
            arrays.append(array.T if binding.transpose else array)
        if (part := parts[0].part) is None:
            yield from ((name, np.ascontiguousarray(array)) for array in arrays)
            continue
        if [binding.part.index for binding in parts] != list(range(part.count)):
            raise CheckpointMismatchError(
                f"{name} is made of {part.count} variables, and the model has "
                f"{', '.join(binding.path for binding in parts)} of them"
            )
        yield name, np.concatenate(arrays, part.axis)
