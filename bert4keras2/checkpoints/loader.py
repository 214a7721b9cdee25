"""Moving weights between a checkpoint and a model's variables: match everything first, then assign one by one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bert4keras2.checkpoints.formats.reader import Reader
from bert4keras2.checkpoints.names.recognise import block_number
from bert4keras2.checkpoints.names.stored import Stored, find_root, rooted
from bert4keras2.errors import CheckpointMismatchError
from bert4keras2.families.family import Place, Table
from bert4keras2.families.table import page
from bert4keras2.progress import progress_bar

__all__ = ["Binding", "CheckpointMismatchError", "load_bindings", "saved_arrays", "table_for"]


@dataclass
class Binding:
    """One variable of the model and what it is in the checkpoint.

    Args:
        variable: the Keras variable.
        path: its path without the model's prefix.
        place: names that it may have in the checkpoint, the usual one first, and how it is stored there.
        forward: changes the stored array (already transposed) to the model's, such as picking rows of the vocabulary.
        resize: called with (array, shape) where shapes differ, if the model resizes weights; None otherwise.
        value: returns the array that is saved, where that is not the variable's own: with LoRA's product added.
    """

    variable: Any
    path: str
    place: Place
    forward: Callable[[np.ndarray], np.ndarray] | None = None
    resize: Callable[[np.ndarray, tuple[int, ...]], np.ndarray] | None = None
    value: Callable[[], np.ndarray] | None = None
    found: Stored | None = field(default=None, init=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """The variable's shape."""
        return tuple(self.variable.shape)


def table_for(family: str, source: str, names: Container[str] = ()) -> Table:
    """Return the names that a source uses for a family.

    Args:
        family: the family's name.
        source: "tensorflow", or "huggingface" for safetensors and torch.
        names: of the checkpoint's variables, or its reader: they decide where a family's files have several layouts.

    Raises:
        CheckpointMismatchError: if the source has none for the family.
    """
    own = page(family)
    if source == "tensorflow":
        for sign, other in own.other_layouts:
            if sign in names:
                return other
    table = own.tensorflow if source == "tensorflow" else own.huggingface
    if table is None:
        raise CheckpointMismatchError(f"There are no {source} names for the family {family!r}")
    return table


def load_bindings(
    reader: Reader,
    bindings: list[Binding],
    table: Table,
    ignore_invalid: bool = False,
    hint: str = "",
    progress: bool | None = None,
) -> None:
    """Assign a checkpoint's variables to the model's, after all of them have been matched.

    Args:
        reader: the open checkpoint.
        bindings: what to fill.
        table: the names' table, which knows what may be left over.
        ignore_invalid: leave variables as they are that are missing or have another shape, with one warning.
        hint: a sentence for the error about which model would have fitted.
        progress: show a bar; if None, on a terminal, where it takes some seconds.

    Raises:
        CheckpointMismatchError: one error that lists everything that does not fit.
    """
    root = find_root(table, (binding.place for binding in bindings), reader.__contains__)
    missing: list[str] = []
    fresh: list[str] = []
    shapes: dict[str, str] = {}  # by stored array: the parts of one fail together
    for binding in bindings:
        candidates = rooted(binding.place.names, root)
        name = next((name for name in candidates if name in reader), None)
        binding.found = None if name is None else Stored(name, binding.place.transpose, binding.place.part)
        if binding.found is None and binding.place.optional:
            fresh.append(binding.path)
        elif binding.found is None:
            missing.append(f"{candidates[0]} (for {binding.path})")
        elif problem := _shape_problem(reader, binding, binding.found):
            shapes.setdefault(binding.found.name, problem)
            if ignore_invalid:
                binding.found = None
    used = {name for binding in bindings for name in rooted(binding.place.names, root)}
    unexpected = [name for name in reader.names() if name not in used and not table.silent(name)]
    if missing or shapes:
        message = _report(reader, missing, list(shapes.values()), unexpected, hint)
        if not ignore_invalid:
            raise CheckpointMismatchError(message)
        warnings.warn(f"{message}\nThese keep their initial values (ignore_invalid_weights=True).", stacklevel=2)
    elif unexpected:
        warnings.warn(f"{reader.path}: the model does not use {_listed(unexpected, used)}", stacklevel=2)
    if fresh:
        warnings.warn(
            f"{reader.path} has no {', '.join(fresh[:4])}{' and others' if len(fresh) > 4 else ''}, which options of "
            "the call added: these start at their initial values, and training has to find others",
            stacklevel=2,
        )
    by_name: dict[str, list[tuple[Binding, Stored]]] = {}
    for binding in bindings:
        if binding.found is not None:
            by_name.setdefault(binding.found.name, []).append((binding, binding.found))
    with progress_bar("Loading", len(by_name), "variable", progress) as advance:
        for name, parts in by_name.items():
            array = np.asarray(reader.read(name))
            for binding, stored in parts:
                binding.variable.assign(_converted(array, binding, stored))
            del array  # or it would stay alive while the next one is read
            advance(1)


def _listed(unexpected: list[str], used: set[str]) -> str:
    """Return the names in short: the first eight, and blocks of which the model has none by their numbers alone."""
    known = {block_number(name) for name in used}
    blocks = sorted({block for name in unexpected if (block := block_number(name)) is not None and block not in known})
    names = [name for name in unexpected if block_number(name) not in blocks]
    parts = [", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")] if names else []
    if blocks:
        whole = len(blocks) > 1 and blocks == list(range(blocks[0], blocks[-1] + 1))
        listed = f"{blocks[0]} to {blocks[-1]}" if whole else ", ".join(map(str, blocks))
        parts.append(
            f"layer{'s' if len(blocks) > 1 else ''} {listed} (it has {len(known - {None})}: num_hidden_layers)"
        )
    return ", and ".join(parts)


def _shape_problem(reader: Reader, binding: Binding, stored: Stored) -> str | None:
    """Return a line about a shape that does not fit, or None."""
    found, wanted = stored.model_shape(tuple(reader.shape(stored.name)), len(binding.shape)), binding.shape
    if binding.resize is not None and found is not None and len(found) == len(wanted):
        return None
    if binding.forward is not None:
        wanted = binding.forward.stored_shape(wanted)
    if found == wanted:
        return None
    if stored.part is None:
        return f"{stored.name}: {list(found or ())} in the file, {list(wanted)} in the model ({binding.path})"
    part = f"part {stored.part.index + 1} of {stored.part.count}: {binding.path}"
    return f"{stored.name}: {list(reader.shape(stored.name))} in the file, {list(wanted)} in the model ({part})"


def _converted(array: np.ndarray, binding: Binding, stored: Stored) -> np.ndarray:
    """Return the model's array for a stored one."""
    array = stored.model_array(array, len(binding.shape))
    if array.dtype != np.float32 and array.dtype.kind not in "iu":
        array = array.astype(np.float32)
    if binding.forward is not None:
        array = binding.forward(array)
    return array if tuple(array.shape) == binding.shape else binding.resize(array, binding.shape)


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
        by_name.setdefault(rooted(binding.place.names, table.roots[0])[0], []).append(binding)
    for name, parts in by_name.items():
        parts.sort(key=lambda binding: binding.place.part.index if binding.place.part else 0)
        arrays = []
        for binding in parts:
            array = ops.convert_to_numpy(binding.variable) if binding.value is None else binding.value()
            if dtype is not None and array.dtype.kind == "f":
                array = array.astype(dtype)
            arrays.append(array.T if binding.place.transpose else array)
        if (part := parts[0].place.part) is None:
            yield from ((name, np.ascontiguousarray(array)) for array in arrays)
            continue
        if [binding.place.part.index for binding in parts] != list(range(part.count)):
            raise CheckpointMismatchError(
                f"{name} is made of {part.count} variables, and the model has "
                f"{', '.join(binding.path for binding in parts)} of them"
            )
        yield name, np.concatenate(arrays, part.axis)
