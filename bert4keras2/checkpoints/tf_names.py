"""Names, shapes and types of a TensorFlow checkpoint from its `.index` alone, without TensorFlow."""

from __future__ import annotations

import os

import numpy as np

from .errors import CheckpointDamagedError, CheckpointFormatError
from .readers import Reader, open_checkpoint
from .sniff import locate
from .tf_index import OBJECT_GRAPH, _block, _fields, _varint, check_data_files, read_index

__all__ = ["IndexReader", "open_names"]

# Numbers of tensorflow.DataType (tensorflow/core/framework/types.proto).
_TYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "string", 8: "complex64",
    9: "int64", 10: "bool", 14: "bfloat16", 17: "uint16", 19: "float16", 22: "uint32", 23: "uint64",
}  # fmt: skip
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


class IndexReader(Reader):
    """The index of a TensorFlow checkpoint; `read` is an error.

    Attributes:
        problem: what is wrong with the data files, None if they are there and long enough.
    """

    format = "tensorflow"

    def __init__(self, prefix: str) -> None:
        super().__init__(prefix)
        path = prefix + ".index"
        index = read_index(path)
        if index is None:
            raise CheckpointFormatError(f"{path!r} is a checkpoint of the V1 format, which has no index.")
        if OBJECT_GRAPH in index.names:
            self.format = "tensorflow_objects"
        with open(path, "rb") as file:
            data = file.read()
        try:
            for name, shape, kind in _entries(data):
                if name != OBJECT_GRAPH:
                    self._entries[name.removesuffix(_VALUE)] = shape, kind
        except (IndexError, ValueError):
            raise CheckpointDamagedError(f"The index {path!r} is damaged. Download it again.") from None
        try:
            check_data_files(prefix, index)
            self.problem: str | None = None
        except (CheckpointDamagedError, CheckpointFormatError, FileNotFoundError) as error:
            self.problem = str(error)

    def _read(self, name: str) -> np.ndarray:
        raise ValueError(f"Only the names of {self.path!r} were read; open it with open_checkpoint to read {name!r}.")

    def _release(self) -> None:
        pass


def open_names(path: str | os.PathLike[str]) -> Reader:
    """Open a checkpoint to look at names, shapes and types; TensorFlow is not imported for it.

    Args:
        path: what `open_checkpoint` takes, but for folders.

    Raises:
        CheckpointError: see `open_checkpoint`.
    """
    kind, found = locate(os.fspath(path))
    if kind == "tensorflow" and os.path.isfile(found + ".index") and read_index(found + ".index") is not None:
        return IndexReader(found)
    return open_checkpoint(path, names_only=True)


def _entries(data: bytes) -> list[tuple[str, tuple[int, ...], str]]:
    """Return (name, shape, type) of the variables of an index."""
    footer = data[-48:]
    at = 0
    for _ in range(2):  # the handle of the metaindex block
        _, at = _varint(footer, at)
    offset, at = _varint(footer, at)
    size, _ = _varint(footer, at)
    found = []
    for _, handle in _block(data, offset, size):
        block_offset, at = _varint(handle, 0)
        block_size, _ = _varint(handle, at)
        for key, value in _block(data, block_offset, block_size):
            # The empty key is the header; pieces of partitioned variables begin with a zero byte.
            if key and not key.startswith(b"\0"):
                fields = dict(_fields(value))
                kind = _TYPES.get(int(fields.get(1, 0)), f"type {fields.get(1)}")
                found.append((key.decode("utf-8"), _shape(fields.get(2, b"")), kind))
    return found


def _shape(message: bytes) -> tuple[int, ...]:
    """Return the sizes of a TensorShapeProto."""
    return tuple(int(dict(_fields(dim)).get(1, 0)) for number, dim in _fields(message) if number == 2)
