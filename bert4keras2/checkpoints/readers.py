"""`open_checkpoint`: the right reader for a path."""

from __future__ import annotations

import os

from bert4keras2.checkpoints import folder
from bert4keras2.checkpoints.formats import sniff
from bert4keras2.checkpoints.formats.keras2 import Keras2Reader
from bert4keras2.checkpoints.formats.reader import Reader
from bert4keras2.checkpoints.formats.safetensors import SafetensorsReader
from bert4keras2.checkpoints.formats.sharded import ShardedReader
from bert4keras2.checkpoints.formats.tensorflow import open_tensorflow
from bert4keras2.checkpoints.formats.torch import TorchReader

__all__ = ["Reader", "open_checkpoint", "open_names"]


def open_checkpoint(path: str | os.PathLike[str], names_only: bool = False) -> Reader:
    """Open a checkpoint of any known format; the content of the files decides which, not their names.

    Args:
        path: a TensorFlow prefix (`bert_model.ckpt`) or any of its files, a safetensors, PyTorch or Keras 2 HDF5
            file, the `.index.json` of a sharded one, or a folder that holds exactly one checkpoint (safetensors is
            preferred to TensorFlow, and TensorFlow to PyTorch).
        names_only: for TensorFlow, accept an `.index` whose data files are absent: names, shapes and types are
            there, `read` fails.

    Returns:
        An open `Reader`, to be used as a context manager.

    Raises:
        CheckpointNotFoundError: no such file, or a part of the checkpoint is absent.
        CheckpointDamagedError: a file is cut short or inconsistent.
        CheckpointFormatError: the file is something else (a Git LFS pointer, a web page, a Keras 3 file, ...).
        AmbiguousCheckpointError: the folder holds several checkpoints.
        ImportError: the format needs a package that is not installed.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        path = folder.find_weights(path)[0]
    kind, path = sniff.locate(path)
    if kind == "tensorflow":
        return open_tensorflow(path, data_required=not names_only)
    return READERS[kind](path)


READERS: dict[str, type[Reader]] = {
    "hdf5": Keras2Reader,
    "shards": ShardedReader,
    "safetensors": SafetensorsReader,
    "torch": TorchReader,
}


def open_names(path: str | os.PathLike[str]) -> Reader:
    """Open a checkpoint to look at names, shapes and types, should its values be missing or not.

    Args:
        path: what `open_checkpoint` takes.

    Returns:
        An open reader; where it has an attribute `problem` that is not None, that is what its values lack.

    Raises:
        CheckpointError: see `open_checkpoint`.
    """
    return open_checkpoint(path, names_only=True)
