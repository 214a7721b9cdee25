"""TensorFlow checkpoints of the V1 format, from before 2017: one table with descriptions and values of variables."""

from __future__ import annotations

import contextlib
import math
import mmap
from typing import Any

import numpy as np

from bert4keras2.checkpoints.encodings.arrays import array_dtype
from bert4keras2.checkpoints.encodings.protobuf import fields, last, texts
from bert4keras2.checkpoints.encodings.sstable import read_table
from bert4keras2.checkpoints.formats.reader import Reader
from bert4keras2.checkpoints.formats.tensorflow_index import TYPES, extents, shape_of
from bert4keras2.errors import CheckpointDamagedError, CheckpointFormatError

__all__ = ["V1Reader"]

# Where a TensorProto keeps values of a type: packed numbers of a fixed width, or of variable length.
_FIXED = {"float32": (5, "<f4"), "float64": (6, "<f8")}
_VARIABLE = {
    "int32": 7, "int16": 7, "int8": 7, "uint8": 7, "uint16": 7, "int64": 10, "bool": 11, "float16": 13, "bfloat16": 13,
    "uint32": 16, "uint64": 17,
}  # fmt: skip


class V1Reader(Reader):
    """A checkpoint of the V1 format; its values are in the file itself."""

    format = "tensorflow"

    def __init__(self, path: str) -> None:
        super().__init__(path)
        with open(path, "rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._parts: dict[str, list[tuple[tuple[slice, ...], Any]]] = {}
        try:
            self._collect()
        except (ValueError, IndexError) as error:
            self._release()
            raise CheckpointDamagedError(
                f"The TensorFlow checkpoint {path!r} is damaged ({error}). Download it again."
            ) from error

    def _collect(self) -> None:
        for key, value in read_table(memoryview(self._map)):
            if key == b"":
                for meta in texts(last(value, {1: bytes}).get(1, b""), 1):
                    self._describe(last(meta, {1: bytes, 2: bytes, 3: int}))
                continue
            part = last(last(value, {2: bytes}).get(2, b""), {1: bytes, 2: bytes, 3: bytes})
            name = bytes(part.get(1, b"")).decode("utf-8")
            if name not in self._entries:
                raise ValueError(f"values of {name[:100]!r}, which is not listed")
            shape = self._entries[name][0]
            self._parts.setdefault(name, []).append((extents(part.get(2, b""), shape)[0], part.get(3, b"")))
        for name, (shape, _) in self._entries.items():
            sizes = (math.prod(at.stop - at.start for at in extent) for extent, _ in self._parts.get(name, ()))
            if sum(sizes) != math.prod(shape):
                raise ValueError(f"values of {name[:100]!r} are missing")

    def _describe(self, meta: dict[int, Any]) -> None:
        name, number = bytes(meta.get(1, b"")).decode("utf-8"), meta.get(3, 0)
        dtype = TYPES.get(number, f"type {number} (not supported)")
        self._entries[name] = shape_of(meta.get(2, b""), dtype, name), dtype

    def _read(self, name: str) -> np.ndarray:
        shape, dtype = self._entries[name]
        if dtype not in _FIXED and dtype not in _VARIABLE:
            raise CheckpointFormatError(f"{name!r} in {self.path!r} is of {dtype}; convert it to floats.")
        try:
            parts = [(extent, _values(message, dtype)) for extent, message in self._parts.get(name, ())]
            # Only now is it known that the file has all values.
            wrong = [v for extent, v in parts if len(v) != math.prod(at.stop - at.start for at in extent)]
            if wrong:
                raise ValueError(f"{len(wrong[0])} values")
        except ValueError as error:
            raise CheckpointDamagedError(
                f"Cannot read {name[:200]!r} from {self.path!r}: its values are damaged ({error}). Download it again."
            ) from error
        whole = np.zeros(shape, array_dtype(dtype))
        for extent, values in parts:
            whole[extent] = values.reshape(whole[extent].shape)
        return whole

    def _release(self) -> None:
        self._parts = {}
        with contextlib.suppress(BufferError):  # an error on its way may hold a part of it, and the map goes with that
            self._map.close()


def _values(message: Any, dtype: str) -> np.ndarray:
    """Return the values of a TensorProto as one row."""
    field = _FIXED[dtype][0] if dtype in _FIXED else _VARIABLE[dtype]
    packed = b"".join(bytes(value) for number, value in fields(message) if number == field and _is_part(value))
    if dtype in _FIXED:
        return np.frombuffer(packed, _FIXED[dtype][1])
    numbers = _numbers(np.frombuffer(packed, np.uint8))
    if field == 13:  # bits of halves
        return numbers.astype(np.uint16).view(array_dtype(dtype))
    return numbers.astype(array_dtype(dtype))


def _is_part(value: Any) -> bool:
    if isinstance(value, int):
        raise ValueError("numbers that are not packed")
    return True


def _numbers(data: np.ndarray) -> np.ndarray:
    """Return the numbers of variable length that bytes hold, as int64."""
    ends = np.flatnonzero(data < 128)
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    widths = ends - starts + 1
    if len(data) and (not len(ends) or ends[-1] != len(data) - 1 or widths.max() > 10):
        raise ValueError("a number without an end")
    found = np.zeros(len(ends), np.uint64)
    for place in range(int(widths.max(initial=0))):
        more = widths > place
        found[more] |= (data[starts[more] + place].astype(np.uint64) & np.uint64(127)) << np.uint64(7 * place)
    return found.view(np.int64)
