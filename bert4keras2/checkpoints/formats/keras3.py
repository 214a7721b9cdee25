"""Files of Keras 3, looked at before Keras and the HDF5 library read them, and after they have been written.

The HDF5 library hangs or crashes on some damaged files, and Keras' errors name no file.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from bert4keras2.checkpoints.formats.hdf5 import SIGNATURE, Hdf5File, Unsupported
from bert4keras2.checkpoints.formats.keras2 import damaged_hdf5
from bert4keras2.checkpoints.formats.zips import Archive
from bert4keras2.errors import CheckpointError, CheckpointFormatError, CheckpointMismatchError
from bert4keras2.files import parse_json

__all__ = ["check_archive", "check_hdf5", "is_weights", "naming"]

_JSON = ("config.json", "metadata.json")
_WEIGHTS = "model.weights.h5"
_SECONDS = 60
# What another process does with a file that is read by the HDF5 library alone.
_PROBE = """
import sys, h5py
with h5py.File(sys.argv[1], "r") as file:
    file.visititems(lambda name, found: [dict(found.attrs), found.size and found[()] if hasattr(found, "shape") else 0])
"""


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


def check_hdf5(path: str, first: int = 0, size: int | None = None) -> None:
    """Raise unless all that an HDF5 file names is in it.

    Args:
        path: the file.
        first, size: the part of it that counts, where it is stored in an archive; all of it by default.

    Raises:
        CheckpointDamagedError: if the file is damaged.
        CheckpointFormatError: if it holds what neither Keras nor the HDF5 library reads in a minute.
    """
    with damaged_hdf5(path):
        try:
            with contextlib.closing(Hdf5File(path, first, size)) as file:
                file.walk()
        except Unsupported:
            if not first:
                _probe(path)
                return
            with tempfile.NamedTemporaryFile(suffix=".h5") as copy, open(path, "rb") as source:
                source.seek(first)
                copy.write(source.read(size))
                copy.flush()
                _probe(copy.name)


def _probe(path: str) -> None:
    """Have another process read a file by the HDF5 library, which may hang or crash there."""
    try:
        done = subprocess.run([sys.executable, "-c", _PROBE, path], capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"the HDF5 library does not come to an end within {_SECONDS} seconds") from error
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise ValueError(f"the HDF5 library fails: {last[0][:200] if last else done.returncode}")


def check_archive(path: str) -> None:
    """Raise unless a `.keras` file is whole: all checksums, its JSON, and its weights.

    Raises:
        CheckpointDamagedError: if it is damaged.
        CheckpointFormatError: if it is an archive of something else.
    """
    with contextlib.closing(Archive(path)) as archive:
        missing = [name for name in _JSON if name not in archive]
        if missing:
            raise CheckpointFormatError(f"{path!r} is a zip archive without {missing[0]}: no model that Keras saved.")
        archive.verify()
        for name in _JSON:
            parse_json(bytes(archive.read(name)), f"{name} in {path!r}", "that of a Keras model")
        place = archive.place(_WEIGHTS) if _WEIGHTS in archive else None
    if place is not None:
        check_hdf5(path, *place)


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
    except (CheckpointError, OSError, ImportError):
        raise
    except Exception as error:  # Keras and its layers raise anything here
        text = str(error).replace(read_as, path) if read_as else str(error)
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise CheckpointMismatchError(f"{path} {what}: {kind}{text}") from error
