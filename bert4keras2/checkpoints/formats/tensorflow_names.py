"""Names, shapes and types of a TensorFlow checkpoint from its `.index` alone, without TensorFlow."""

from __future__ import annotations

import numpy as np

from bert4keras2.checkpoints.formats.errors import (
    CheckpointDamagedError,
    CheckpointFormatError,
    CheckpointNotFoundError,
)
from bert4keras2.checkpoints.formats.reader import Reader
from bert4keras2.checkpoints.formats.tensorflow_index import OBJECT_GRAPH, check_data_files, read_index

__all__ = ["IndexReader"]

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
        if OBJECT_GRAPH in index.entries:
            self.format = "tensorflow_objects"
        self._entries = {
            name.removesuffix(_VALUE): entry for name, entry in index.entries.items() if name != OBJECT_GRAPH
        }
        try:
            check_data_files(prefix, index)
            self.problem: str | None = None
        except (CheckpointDamagedError, CheckpointFormatError, CheckpointNotFoundError) as error:
            self.problem = str(error)

    def _read(self, name: str) -> np.ndarray:
        raise ValueError(f"Only the names of {self.path!r} were read; open it with open_checkpoint to read {name!r}.")

    def _release(self) -> None:
        pass
