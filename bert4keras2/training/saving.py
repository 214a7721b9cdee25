"""Whole models in files of any name, as scripts write them: Keras 3 itself wants names that end in ".keras"."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import keras

from bert4keras2.checkpoints.formats.keras3 import check_archive, check_hdf5, naming
from bert4keras2.files import reject_impostor, under_suffix, write_beside

__all__ = ["HDF5_SUFFIXES", "describe_in_hdf5", "load_model", "save_under_any_name"]

HDF5_SUFFIXES = (".h5", ".hdf5")
KERAS_SUFFIXES = (".keras", *HDF5_SUFFIXES)


def save_under_any_name(
    filepath: str | os.PathLike, save: Callable[..., None], overwrite: bool = True, **kwargs: Any
) -> None:
    """Save a model beside its place and rename it; where Keras would refuse the name, its ".keras" file gets it.

    Args:
        filepath: where to write.
        save: keras.Model.save of the model.
        overwrite: replace an existing file; otherwise it is an error.
        **kwargs: what else keras.Model.save takes.

    Raises:
        FileExistsError: if the file exists and is not to be replaced.
        FileNotFoundError: if its folder does not exist.
        OSError: if the disk takes no more; the old file is untouched.
    """
    path = os.fspath(filepath)
    if "://" in path or kwargs.get("zipped") is False:  # another machine's, or a folder, which Keras writes
        save(filepath, overwrite=overwrite, **kwargs)
        return
    suffix = next((suffix for suffix in KERAS_SUFFIXES if path.endswith(suffix)), KERAS_SUFFIXES[0])
    check = check_archive if suffix == KERAS_SUFFIXES[0] else check_hdf5
    write_beside(path, "the model", suffix, lambda p: save(p, overwrite=True, **kwargs), overwrite, check)


def describe_in_hdf5(path: str, model: keras.Model) -> None:
    """Give an HDF5 file of a whole model the description that ".keras" files have.

    The one that Keras writes there names layers alone: its reader fails at operations, such as a slice of a mask, takes
    strings such as "add" for functions, makes plain models of ours and builds optimizers without variables. Keras reads
    this one, too.

    Args:
        path: a file that Keras has written.
        model: the model in it.
    """
    import h5py

    with h5py.File(path, "r+") as file:
        description = keras.saving.serialize_keras_object(model)
        if "training_config" not in file.attrs:
            description.pop("compile_config", None)
        description["class_name"] = json.loads(file.attrs["model_config"])["class_name"]
        file.attrs["model_config"] = json.dumps(description).encode("utf-8")


def _load_described(path: str, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True) -> Any:
    """Return the model of an HDF5 file that `describe_in_hdf5` has described, None for other files."""
    import h5py

    with h5py.File(path, "r") as file:
        description = json.loads(file.attrs.get("model_config", "{}"))
        if description.get("registered_name") is None:
            return None
        if not compile:
            description.pop("compile_config", None)
        model = keras.saving.deserialize_keras_object(description, custom_objects=custom_objects, safe_mode=safe_mode)
        model.load_weights(path)
        state = file.get("optimizer_weights")
        if compile and state is not None and model.optimizer is not None:
            names = state.attrs["weight_names"]
            if len(names) == len(model.optimizer.variables):
                for variable, name in zip(model.optimizer.variables, names, strict=True):
                    variable.assign(state[name][()])
    return model


def load_model(filepath: str | os.PathLike, *args: Any, **kwargs: Any) -> Any:
    """Read a model as keras.models.load_model does, whatever the name of a file in Keras' own format.

    Args:
        filepath: the file.
        *args, **kwargs: what keras.models.load_model takes: custom_objects, compile, safe_mode.

    Returns:
        The model.

    Raises:
        CheckpointError: if the file is damaged, or Keras cannot build what it describes.
    """
    path = os.fspath(filepath)
    if not os.path.isfile(path):
        return keras.models.load_model(filepath, *args, **kwargs)
    reject_impostor(path, "a saved model")
    with open(path, "rb") as file:
        zipped = file.read(4) == b"PK\3\4"
    if zipped:
        check_archive(path)
    elif path.endswith(KERAS_SUFFIXES):
        check_hdf5(path)
    if path.endswith(KERAS_SUFFIXES) or not zipped:
        with naming(path, what="holds a model that Keras cannot build"):
            if path.endswith(HDF5_SUFFIXES) and not zipped:
                model = _load_described(path, *args, **kwargs)
                if model is not None:
                    return model
            return keras.models.load_model(filepath, *args, **kwargs)
    with under_suffix(path, ".keras") as named, naming(path, named, "holds a model that Keras cannot build"):
        return keras.models.load_model(named, *args, **kwargs)
