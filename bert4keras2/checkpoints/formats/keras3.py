"""Files of Keras 3, looked at before Keras and the HDF5 library read them, and after they have been written.

The HDF5 library hangs or crashes on some damaged files, and Keras' errors name no file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from bert4keras2.checkpoints.encodings.hdf5 import SIGNATURE, Hdf5File
from bert4keras2.checkpoints.encodings.zips import Archive
from bert4keras2.checkpoints.formats.keras2 import damaged_hdf5
from bert4keras2.errors import CheckpointError, CheckpointFormatError, CheckpointMismatchError
from bert4keras2.files import parse_json, reject_impostor

__all__ = ["check_archive", "check_hdf5", "is_weights", "naming"]

_JSON = ("config.json", "metadata.json")
_WEIGHTS = "model.weights.h5"


def is_weights(path: str) -> bool:
    """Whether a file is HDF5 in Keras 3's layout of weights: no list of layer names, but one group per layer.

    Raises:
        CheckpointDamagedError: if it is HDF5 and damaged.
    """
    with open(path, "rb") as file:
        if file.read(8) != SIGNATURE:
            return False
    with damaged_hdf5(path), contextlib.closing(Hdf5File(path)) as file:
        listed = ("layer_names", "layer_names0")
        return not any(name in file.root.attributes for name in listed) and "model_weights" not in file.root


def check_hdf5(path: str, data: Any = None) -> None:
    """Raise unless all that an HDF5 file names is in it.

    Args:
        path: the file.
        data: its content, where that is a part of another file; read from the path if None.

    Raises:
        CheckpointDamagedError: if the file is damaged.
        CheckpointFormatError: if it holds what Keras does not write.
    """
    with damaged_hdf5(path), contextlib.closing(Hdf5File(path, data)) as file:
        file.walk()


def check_archive(path: str) -> None:
    """Raise unless a `.keras` file is whole: all checksums, its JSON, and its weights.

    Raises:
        CheckpointDamagedError: if it is damaged.
        CheckpointFormatError: if it is an archive of something else.
    """
    reject_impostor(path, "a saved model")
    with contextlib.closing(Archive(path)) as archive:
        missing = [name for name in _JSON if name not in archive]
        if missing:
            raise CheckpointFormatError(f"{path!r} is a zip archive without {missing[0]}: no model that Keras saved.")
        archive.verify()
        for name in _JSON:
            parse_json(bytes(archive.read(name)), f"{name} in {path!r}", "that of a Keras model")
        if _WEIGHTS in archive:
            check_hdf5(path, archive.content(_WEIGHTS))


@contextlib.contextmanager
def naming(path: str, read_as: str | None = None, what: str = "does not fit the model") -> Iterator[None]:
    """A context in which errors of Keras about a file that has been checked get its name.

    Args:
        path: the file.
        read_as: the name that Keras was given in its place.
        what: what is wrong with the file if Keras fails.
    """
    try:
        yield
    except (CheckpointError, ImportError):
        raise
    except Exception as error:  # Keras and its layers raise anything here
        if isinstance(error, OSError) and error.errno is not None:  # of the system; those of HDF5 have no number
            raise
        text = str(error).replace(read_as, path) if read_as else str(error)
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise CheckpointMismatchError(f"{path} {what}: {kind}{text}") from error
