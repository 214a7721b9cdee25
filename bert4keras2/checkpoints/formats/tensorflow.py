"""TensorFlow checkpoints: name based ones, and the object based ones of tf.keras `save_weights`.

They are read without TensorFlow, whose own reader trusts what an index says. All checksums are compared.
"""

from __future__ import annotations

import os
import re
from typing import BinaryIO

import numpy as np

from bert4keras2.checkpoints.encodings.arrays import array_dtype
from bert4keras2.checkpoints.encodings.crc32c import crc32c, masked
from bert4keras2.checkpoints.encodings.protobuf import last, texts, varint
from bert4keras2.checkpoints.formats.reader import Reader
from bert4keras2.checkpoints.formats.tensorflow_index import (
    OBJECT_GRAPH,
    TYPES,
    BundleIndex,
    Place,
    check_data_files,
    data_file,
    read_index,
)
from bert4keras2.checkpoints.formats.tensorflow_v1 import V1Reader
from bert4keras2.errors import CheckpointDamagedError, CheckpointFormatError, CheckpointNotFoundError

__all__ = ["TensorFlowObjectsReader", "TensorFlowReader", "open_tensorflow"]

_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_NOT_LAYERS = {"root", "signatures", "keras_api", "optimizer", "save_counter"}
_MOST_STEPS = 10**6  # on the way through the objects of a checkpoint
_LONGEST_PATH = 2000


class TensorFlowReader(Reader):
    """A name based checkpoint (`bert_model.ckpt`); names, as in the file, like 'bert/embeddings/word_embeddings'.

    Attributes:
        problem: what is wrong with the data files, where that was no reason not to open it; None if nothing is.
    """

    format = "tensorflow"

    def __init__(self, path: str, index: BundleIndex) -> None:
        super().__init__(path)
        self._index = index
        self._file: BinaryIO | None = None
        self._number = -1
        self.problem: str | None = None
        self._keys = {name: key for key in sorted(index.entries) if (name := self._name(key)) is not None}
        self._entries = {name: index.entries[key][:2] for name, key in self._keys.items()}

    def _name(self, key: str) -> str | None:
        return key

    def _read(self, name: str) -> np.ndarray:
        return self._array(self._keys[name])

    def _array(self, key: str) -> np.ndarray:
        entry = self._index.entries[key]
        if entry.dtype not in TYPES.values():
            raise CheckpointFormatError(f"{key!r} in {self.path!r} is of {entry.dtype}; convert it to floats.")
        if not entry.parts:
            return self._values(key, entry.place, entry.dtype, entry.shape)
        whole = np.zeros(entry.shape, object if entry.dtype == "string" else array_dtype(entry.dtype))
        for extent, place in entry.parts:
            shape = tuple(at.stop - at.start for at in extent)
            whole[extent] = self._values(key, place, entry.dtype, shape)
        return whole

    def _values(self, key: str, place: Place, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
        values = self._bytes(key, place)
        if dtype == "string":
            return np.array(self._strings(key, values, place.checksum, shape), object).reshape(shape)
        self._compare(key, crc32c(values), place.checksum)
        array = values.view(array_dtype(dtype)).reshape(shape)
        return array.byteswap() if self._index.big_endian else array

    def _bytes(self, key: str, place: Place) -> np.ndarray:
        path = data_file(self.path, place.file, len(self._index.file_bytes))
        if self._file is None or self._number != place.file:
            self._release()
            try:
                self._file, self._number = open(path, "rb"), place.file  # noqa: SIM115 (closed by _release)
            except OSError as error:
                raise self._damaged(key, "its bytes are missing from the data file") from error
        if os.fstat(self._file.fileno()).st_size < place.offset + place.size:
            raise self._damaged(key, "its bytes are missing from the data file")
        values = np.empty(place.size, np.uint8)
        self._file.seek(place.offset)
        if self._file.readinto(values) != place.size:  # type: ignore[arg-type]
            raise self._damaged(key, "its bytes are missing from the data file")
        return values

    def _strings(self, key: str, values: np.ndarray, checksum: int, shape: tuple[int, ...]) -> list[bytes]:
        """Return texts: first the lengths of all of them, a checksum of these, then the texts."""
        data, at, count = values.tobytes(), 0, int(np.prod(shape, dtype=object))
        lengths: list[int] = []
        try:
            while len(lengths) < count:
                length, at = varint(data, at)
                lengths.append(length)
        except ValueError as error:
            raise self._damaged(key, str(error)) from error
        if at + 4 + sum(lengths) != len(data):
            raise self._damaged(key, "its texts have other lengths")
        fixed = b"".join(length.to_bytes(4 if length < 2**32 else 8, "little") for length in lengths)
        self._compare(key, crc32c(data[at:], crc32c(fixed)), checksum)
        found, at = [], at + 4
        for length in lengths:
            found.append(data[at : at + length])
            at += length
        return found

    def _compare(self, key: str, found: int, checksum: int) -> None:
        if masked(found) != checksum:
            raise self._damaged(key, "its bytes have changed (the checksum does not match)")

    def _damaged(self, key: str, what: str) -> CheckpointDamagedError:
        return CheckpointDamagedError(
            f"Cannot read {key[:200]!r} from {self.path!r}: {what}. The checkpoint is damaged or incomplete, download "
            "it again."
        )

    def _release(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None


class TensorFlowObjectsReader(TensorFlowReader):
    """An object based checkpoint, as tf.keras wrote with `save_weights('best_model.weights')`.

    Names are the paths of the objects, 'layer_with_weights-4/q_dense/kernel' (in the file they end in
    '/.ATTRIBUTES/VARIABLE_VALUE', which `read` accepts too). `layers` and `full_names` tell what they belong to.
    """

    format = "tensorflow_objects"

    def __init__(self, path: str, index: BundleIndex) -> None:
        super().__init__(path, index)
        self._parsed: list[_Node] | None = None

    @property
    def _nodes(self) -> list[_Node]:
        if self._parsed is None:
            graph = self._array(OBJECT_GRAPH).reshape(-1)
            try:
                self._parsed = _nodes(graph[0])
            except (ValueError, IndexError, TypeError) as error:
                raise self._damaged(OBJECT_GRAPH, f"it does not describe objects ({error})") from error
        return self._parsed

    def layers(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """Return the layers that have variables, in the order of the model.

        Returns:
            Pairs of the layer's key ('layer_with_weights-4') and its variables, each as the attribute path inside of
            the layer ('q_dense/kernel') and the name for `read`; a variable that two layers share is listed in both.
        """
        children = dict(self._nodes[0].children)
        numbered = [key for key in children if re.fullmatch(r"layer_with_weights-\d{1,9}", key)]
        if numbered:
            keys = sorted(numbered, key=lambda key: int(key.rpartition("-")[2]))
        else:
            keys = [key for key in children if key not in _NOT_LAYERS]
        steps = [0]
        found = [(key, self._variables(key, children[key], steps)) for key in keys]
        return [(key, variables) for key, variables in found if variables]

    def full_names(self) -> dict[str, str]:
        """Return the variables' own names ('Transformer-0-FeedForward/dense/kernel'), where the file has them."""
        return {
            name: full_name
            for node in self._nodes
            for _, full_name, key in node.attributes
            if full_name and (name := self._name(key)) in self._entries
        }

    def _variables(self, layer: str, start: int, steps: list[int]) -> list[tuple[str, str]]:
        found, seen, queue = [], {start}, [("", start)]
        for path, number in queue:  # which grows
            steps[0] += 1
            if steps[0] > _MOST_STEPS or len(path) > _LONGEST_PATH:
                raise self._damaged(OBJECT_GRAPH, "its objects go on without an end")
            for attribute, _, key in self._nodes[number].attributes:
                name = self._name(key)
                if attribute == "VARIABLE_VALUE" and name in self._entries:
                    # The key has the path under which the variable was stored, unless another layer owns it.
                    own = name.startswith(layer + "/")
                    found.append((name[len(layer) + 1 :] if own else path, name))
            for local_name, child in self._nodes[number].children:
                if child not in seen and local_name not in _NOT_LAYERS:
                    seen.add(child)
                    queue.append((f"{path}/{local_name}".lstrip("/"), child))
        return found

    def _name(self, key: str) -> str | None:
        return None if key == OBJECT_GRAPH else key.removesuffix(_VALUE)

    def _resolve(self, name: str) -> str:
        return name.removesuffix(_VALUE)


class _Node:
    """An object: (name, number) of what it has, and (name, full name, key) of its values."""

    def __init__(self, message: bytes, count: int) -> None:
        self.children: list[tuple[str, int]] = []
        for child in texts(message, 1):
            found = last(child, {1: int, 2: bytes})
            if (number := found.get(1, 0)) >= count:
                raise ValueError(f"object {number} of {count}")
            self.children.append((found.get(2, b"").decode("utf-8"), number))
        self.attributes: list[tuple[str, str, str]] = []
        for attribute in texts(message, 2):
            found = last(attribute, {1: bytes, 2: bytes, 3: bytes})
            name, full_name, key = (found.get(number, b"").decode("utf-8") for number in (1, 2, 3))
            self.attributes.append((name, full_name, key))


def _nodes(graph: bytes) -> list[_Node]:
    """Return the objects of a TrackableObjectGraph, the model first."""
    messages = texts(graph, 1)
    if not messages:
        raise ValueError("no objects")
    return [_Node(message, len(messages)) for message in messages]


def open_tensorflow(prefix: str, data_required: bool = True) -> Reader:
    """Open a TensorFlow checkpoint of any kind.

    Args:
        prefix: the path without `.index`, or a V1 file.
        data_required: whether absent or short data files are an error at once.

    Returns:
        A `TensorFlowObjectsReader` when the file has an object graph, else a `TensorFlowReader`, or a `V1Reader`.

    Raises:
        CheckpointNotFoundError, CheckpointDamagedError, CheckpointFormatError: see `open_checkpoint`.
    """
    path = prefix + ".index"
    index = read_index(path) if os.path.isfile(path) else None
    if index is None:
        return V1Reader(path if os.path.isfile(path) else prefix)
    objects = OBJECT_GRAPH in index.entries
    reader = TensorFlowObjectsReader(prefix, index) if objects else TensorFlowReader(prefix, index)
    try:
        check_data_files(prefix, index)
    except (CheckpointNotFoundError, CheckpointDamagedError, CheckpointFormatError) as error:
        if data_required:
            raise
        reader.problem = str(error)
    return reader
