"""All that a training run has to know to go on, in one file."""

from __future__ import annotations

import json
import os
import random
import zipfile
from collections.abc import Sequence
from typing import Any

import keras
import ml_dtypes
import numpy as np

from bert4keras2.files import atomic_path

__all__ = ["StateError", "read_state", "restore_random", "restore_variables", "save_random", "save_state"]

_META = "meta"


class StateError(ValueError):
    """What is wrong with a file of a training run's state."""


def training_variables(model: keras.Model, others: Sequence[Any] = ()) -> list[Any]:
    """Return all variables of a compiled model: weights, seeds, the optimizer's, those of metrics that exist.

    Args:
        model: the model.
        others: callbacks, some of which have variables of their own (`EMA`).
    """
    model.optimizer.build(model.trainable_variables)
    kept = [variable for each in others if hasattr(each, "state_variables") for variable in each.state_variables()]
    listed = [*model.variables, *model.optimizer.variables, *kept]
    return list({id(variable): variable for variable in listed}.values())


def save_state(path: str | os.PathLike, model: keras.Model, meta: dict[str, Any], others: Sequence[Any] = ()) -> None:
    """Write a model's variables and more, beside the file's place and then into it.

    Args:
        path: the file.
        model: a compiled model.
        meta: what else is to be known; JSON.
        others: callbacks with variables of their own.

    Raises:
        OSError: if the disk takes no more; the old file is as it was.
    """
    arrays, types, paths = {}, [], []
    for index, variable in enumerate(training_variables(model, others)):
        array = np.asarray(keras.ops.convert_to_numpy(variable.value))
        types.append(array.dtype.name)
        paths.append(variable.path)
        # Types that NumPy does not know of itself are kept as what they are made of.
        arrays[f"v{index}"] = array.view(np.uint16) if array.dtype == ml_dtypes.bfloat16 else array
    content = json.dumps({**meta, "types": types, "paths": paths})
    with atomic_path(path, ".npz") as partial:
        np.savez(partial, **arrays, **{_META: np.frombuffer(content.encode(), np.uint8)})


def read_state(path: str | os.PathLike) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Return what was kept of a run, and its variables' values in their order.

    Raises:
        StateError: if the file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            meta = json.loads(bytes(file[_META]).decode())
            values = [_typed(file[f"v{index}"], name) for index, name in enumerate(meta["types"])]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise StateError(
            f"{os.fspath(path)} is damaged ({error}), so the run cannot go on from it; remove it to begin anew"
        ) from error
    return meta, values


def _typed(array: np.ndarray, name: str) -> np.ndarray:
    return array.view(ml_dtypes.bfloat16) if name == "bfloat16" else array


def restore_variables(
    path: str, model: keras.Model, meta: dict[str, Any], values: list[np.ndarray], others: Sequence[Any] = ()
) -> None:
    """Give a model's variables the values of a file.

    Raises:
        StateError: if the model is another one than the file's; no variable is changed then.
    """
    variables = training_variables(model, others)
    if len(variables) != len(values):
        raise StateError(
            f"{path} is of a model with {len(values)} variables, optimizer included, and this one has {len(variables)}:"
            " was the model or the optimizer changed? Remove the file to begin anew"
        )
    for variable, value, name in zip(variables, values, meta["paths"], strict=True):
        if tuple(variable.shape) != value.shape:
            raise StateError(
                f"{path} has {name} of shape {value.shape}, and this model's {variable.path} is"
                f" {tuple(variable.shape)}: was the model or the optimizer changed? Remove the file to begin anew"
            )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def save_random() -> dict[str, Any]:
    """Return the state of Python's and NumPy's generators (and of PyTorch's, on it) as JSON."""
    kind, keys, place, has_gauss, gauss = np.random.get_state()
    version, internal, gauss_next = random.getstate()
    found = {
        "numpy": [kind, keys.tolist(), place, has_gauss, gauss],
        "python": [version, list(internal), gauss_next],
    }
    if keras.backend.backend() == "torch":
        import torch

        found["torch"] = torch.get_rng_state().tolist()
        found["gpus"] = (
            [state.tolist() for state in torch.cuda.get_rng_state_all()] if torch.cuda.is_available() else []
        )
    return found


def restore_random(state: dict[str, Any]) -> None:
    """Put generators into a state of `save_random`."""
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, np.array(keys, np.uint32), *rest))
    version, internal, gauss_next = state["python"]
    random.setstate((version, tuple(internal), gauss_next))
    if "torch" in state and keras.backend.backend() == "torch":
        import torch

        torch.set_rng_state(torch.tensor(state["torch"], dtype=torch.uint8))
        for gpu, numbers in enumerate(state.get("gpus", ())[: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(torch.tensor(numbers, dtype=torch.uint8), gpu)
