"""Whole models in files of any name, as scripts write them: Keras 3 itself wants names that end in ".keras"."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from typing import Any

import keras

from bert4keras2.files import atomic_path

__all__ = ["load_model", "save_under_any_name", "write_beside"]

KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")


def save_under_any_name(
    filepath: str | os.PathLike, save: Callable[..., None], overwrite: bool = True, **kwargs: Any
) -> None:
    """Save a model; where Keras would refuse the name, its ".keras" file gets it.

    Args:
        filepath: where to write.
        save: keras.Model.save of the model.
        overwrite: replace an existing file; otherwise it is an error.
        **kwargs: what else keras.Model.save takes.

    Raises:
        FileExistsError: if the file exists and is not to be replaced.
        FileNotFoundError: if its folder does not exist.
    """
    path = os.fspath(filepath)
    if path.endswith(KERAS_SUFFIXES):
        save(filepath, overwrite=overwrite, **kwargs)
        return
    if os.path.isdir(path):
        raise FileExistsError(f"{path} is a folder; a model is saved as a file, such as {path}.keras")
    write_beside(path, "the model", ".keras", lambda partial: save(partial, overwrite=True, **kwargs), overwrite)


def write_beside(path: str, what: str, suffix: str, save: Callable[[str], None], overwrite: bool) -> None:
    """Write a file beside its place and rename it, so that an interrupted run leaves the old one whole.

    Args:
        path: where the file belongs.
        what: what is written, for messages.
        suffix: how the name ends under which `save` writes; Keras is particular about it.
        save: called with that name.
        overwrite: replace an existing file; otherwise it is an error.

    Raises:
        FileExistsError: if the file exists and is not to be replaced.
        FileNotFoundError: if its folder does not exist.
    """
    if not overwrite and os.path.exists(path):
        raise FileExistsError(f"{path} exists; pass overwrite=True to replace it")
    folder = os.path.dirname(path)
    if folder and not os.path.isdir(folder):
        raise FileNotFoundError(f"Cannot write {what} to {path}: the folder {folder} does not exist")
    with atomic_path(path, suffix) as partial:
        save(partial)


def load_model(filepath: str | os.PathLike, *args: Any, **kwargs: Any) -> Any:
    """Read a model as keras.models.load_model does, whatever the name of a file in Keras' own format.

    Args:
        filepath: the file.
        *args, **kwargs: what keras.models.load_model takes: custom_objects, compile, safe_mode.

    Returns:
        The model.
    """
    path = os.fspath(filepath)
    if path.endswith(KERAS_SUFFIXES) or not (os.path.isfile(path) and zipfile.is_zipfile(path)):
        return keras.models.load_model(filepath, *args, **kwargs)
    with tempfile.TemporaryDirectory() as folder:
        named = os.path.join(folder, "model.keras")
        try:
            os.symlink(os.path.abspath(path), named)
        except OSError:  # a file system or an account without links
            shutil.copyfile(path, named)
        return keras.models.load_model(named, *args, **kwargs)
