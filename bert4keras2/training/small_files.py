"""What learns alone, in a small file: it goes on top of a checkpoint that others have too."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from keras import ops

from bert4keras2.checkpoints.formats.safetensors import SafetensorsReader, write_safetensors
from bert4keras2.training.techniques import checked_model

__all__ = ["load_trainable", "save_trainable"]


def save_trainable(model: Any, path: str | os.PathLike[str]) -> None:
    """Write the weights that learn, and no others, into a safetensors file.

    Args:
        model: a model of `bert4keras2.backend.keras`, such as one after `lora`: what is frozen comes from its
            checkpoint again.
        path: the file; it is written beside its place and renamed.

    Raises:
        ValueError: if nothing learns, or two variables have one path.
    """
    found = _by_path(model)
    write_safetensors(path, ((name, np.asarray(ops.convert_to_numpy(variable))) for name, variable in found.items()))


def load_trainable(model: Any, path: str | os.PathLike[str]) -> None:
    """Read the weights that learn from a file of `save_trainable`.

    Args:
        model: built as the one that was saved, `lora` and the like included.
        path: the file.

    Raises:
        ValueError: if the file has other variables than those that learn, or other shapes; nothing has changed then.
        CheckpointError: if the file is damaged.
    """
    found = _by_path(model)
    with SafetensorsReader(os.fspath(path)) as reader:
        names = set(reader.names())
        shapes = {name: tuple(found[name].shape) for name in names & found.keys()}
        problems = [
            f"{title} {', '.join(sorted(part)[:4])}{', ...' * (len(part) > 4)}"
            for title, part in (
                ("the file lacks", found.keys() - names),
                ("the model does not learn", names - found.keys()),
                ("other shapes have", {name for name, shape in shapes.items() if reader.shape(name) != shape}),
            )
            if part
        ]
        if problems:
            raise ValueError(
                f"{os.fspath(path)} does not fit {model.name!r}: {'; '.join(problems)}. Build it as the saved one was,"
                " lora() and the like included"
            )
        for name in reader.names():
            found[name].assign(reader.read(name))


def _by_path(model: Any) -> dict[str, Any]:
    variables = checked_model(model).trainable_variables
    found = {variable.path: variable for variable in variables}
    if not found:
        raise ValueError(f"nothing in {model.name!r} learns: all its layers are frozen")
    if len(found) < len(variables):
        paths = [variable.path for variable in variables]
        twice = sorted({path for path in paths if paths.count(path) > 1})
        raise ValueError(f"several variables of {model.name!r} are called {', '.join(twice)}: name their layers")
    return found
