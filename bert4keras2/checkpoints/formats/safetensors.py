"""safetensors files: eight bytes with the length of a JSON header, the header, and the values one after another.

The format (https://huggingface.co/docs/safetensors) is simple enough to read and write directly, which gives lazy
reading, streaming writing and every type, bfloat16 included, without a further dependency. It has no checksums: a file
of the wrong length is noticed, a changed byte is not.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable, Mapping
from typing import BinaryIO

import numpy as np

from bert4keras2.checkpoints.encodings.arrays import array_dtype, array_shape
from bert4keras2.checkpoints.formats.reader import Reader
from bert4keras2.errors import CheckpointDamagedError, CheckpointError, CheckpointFormatError
from bert4keras2.files import move_into_place, parse_json, scratch_folder

__all__ = ["SafetensorsReader", "write_safetensors"]

_TYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "C64": "complex64",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "BOOL": "bool",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8",
}  # fmt: skip
_CODES = {name: code for code, name in _TYPES.items()}
_CHUNK = 16 * 2**20
_LONGEST_HEADER = 100_000_000


class SafetensorsReader(Reader):
    """One `.safetensors` file; `metadata` is its dictionary of free strings."""

    format = "safetensors"

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._offsets: dict[str, int] = {}
        self._file: BinaryIO = open(path, "rb")  # noqa: SIM115 (closed by _release)
        try:
            header = self._header()
            self.metadata = self._metadata(header)
            self._index(header)
        except BaseException:
            self._file.close()
            raise

    def _header(self) -> dict:
        size = os.fstat(self._file.fileno()).st_size
        length = int.from_bytes(self._file.read(8), "little")
        self._start = 8 + length
        self._size = size
        if size < 8 or size < self._start:
            raise CheckpointDamagedError(
                f"{self.path!r} is cut short or no safetensors file: it has {size} bytes, its header alone would need "
                f"{self._start}. Download it again."
            )
        if length > _LONGEST_HEADER:
            raise CheckpointDamagedError(f"{self._damaged()}: it has {length} bytes, the format allows 100 million.")
        return parse_json(
            self._file.read(length), f"The header of the safetensors file {self.path!r}", "one of its kind", False
        )

    def _damaged(self) -> str:
        return f"The header of the safetensors file {self.path!r} is damaged"

    def _metadata(self, header: dict) -> dict[str, str]:
        found = header.pop("__metadata__", {})
        if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
            raise CheckpointDamagedError(f"{self._damaged()}: __metadata__ maps names to texts. Download it again.")
        return found

    def _index(self, header: dict) -> None:
        for name, entry in header.items():
            fine = isinstance(entry, dict) and isinstance(entry.get("dtype"), str)
            offsets = entry.get("data_offsets") if fine else None
            fine = fine and isinstance(offsets, list) and [type(at) for at in offsets] == [int, int]
            if not fine or not 0 <= offsets[0] <= offsets[1]:
                raise CheckpointDamagedError(
                    f"{self._damaged()} at {name[:200]!r}: it says {str(entry)[:200]}. Download it again."
                )
        end = 0
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            code, (first, last) = entry["dtype"], entry["data_offsets"]
            kind = _TYPES.get(code)
            size = array_dtype(kind).itemsize if kind else 1
            wrong = (
                f"The header of {self.path!r} is inconsistent at {name[:200]!r}: {code[:20]} "
                f"{str(entry.get('shape'))[:200]} does not fit the bytes {first} to {last}. Download the file again."
            )
            shape = array_shape(entry.get("shape"), size, wrong)
            if first != end or (kind and last - first != math.prod(shape) * size):
                raise CheckpointDamagedError(wrong)
            end = last
            self._entries[name] = shape, kind or f"{code} (not supported)"
            self._offsets[name] = self._start + first
        if self._start + end != self._size:
            what = "cut short" if self._size < self._start + end else "too long"
            raise CheckpointDamagedError(
                f"{self.path!r} is {what}: it has {self._size} bytes, its header demands {self._start + end}. "
                "Download it again."
            )

    def _read(self, name: str) -> np.ndarray:
        shape, kind = self._entries[name]
        if kind not in _CODES:
            raise CheckpointFormatError(
                f"{name!r} in {self.path!r} has the type {kind}; convert the file to one of {', '.join(_TYPES)}."
            )
        self._file.seek(self._offsets[name])
        value = np.empty(shape, array_dtype(kind))
        if self._file.readinto(value.reshape(-1).view(np.uint8)) != value.nbytes:
            raise CheckpointDamagedError(f"{self.path!r} ends within {name!r}. Download it again.")
        return value if sys.byteorder == "little" else value.byteswap()

    def _release(self) -> None:
        self._file.close()


def write_safetensors(
    path: str | os.PathLike[str],
    variables: Iterable[tuple[str, np.ndarray]],
    metadata: Mapping[str, str] | None = None,
) -> str:
    """Write a safetensors file with one variable in memory at a time.

    The values go to a temporary file beside the target first, because the header, which comes first, needs all shapes.
    Wider types are stored before narrower ones, so that every value is aligned.

    Args:
        path: the file to write; its folder is made.
        variables: pairs of name and numeric array; may be a generator.
        metadata: strings for the header; `{'format': 'pt'}`, which other tools look for, when left out.

    Returns:
        The absolute path that was written.

    Raises:
        CheckpointError: no variables, a name twice or empty, metadata that is not text, or an unknown type.
    """
    target = os.path.realpath(os.fspath(path))  # a link stays a link
    metadata = {"format": "pt"} if metadata is None else dict(metadata)
    if not all(isinstance(text, str) for pair in metadata.items() for text in pair):
        raise CheckpointError(f"Cannot write {target!r}: metadata has to map strings to strings, got {metadata!r}.")
    with scratch_folder(target) as work:
        with open(os.path.join(work, "values"), "w+b") as values, open(os.path.join(work, "whole"), "wb") as whole:
            stored = _store(values, variables, target)
            _assemble(whole, values, stored, metadata)
        whole_path = os.path.join(work, "whole")
        SafetensorsReader(whole_path).close()  # the header, and whether all bytes are there
        move_into_place(whole_path, target)
    return target


def _store(file: BinaryIO, variables: Iterable[tuple[str, np.ndarray]], target: str) -> dict[str, tuple]:
    """Write the values as they come; return for each name code, shape, item size, position and length."""
    stored: dict[str, tuple] = {}
    for name, value in variables:
        value = np.asarray(value)
        code = _CODES.get(value.dtype.name)
        if not name or name in stored or name == "__metadata__":
            raise CheckpointError(
                f"Cannot write {target!r}: {name!r} is reserved or comes twice; every variable needs a name of its own."
            )
        if code is None:
            raise CheckpointError(
                f"Cannot write {name!r} to {target!r}: safetensors has no type {value.dtype}; it knows "
                f"{', '.join(_CODES)}."
            )
        stored[name] = code, list(value.shape), value.dtype.itemsize, file.tell(), value.nbytes
        little = value.astype(value.dtype.newbyteorder("<"), order="C", copy=False)
        file.write(little.reshape(-1).view(np.uint8).data)
        del value, little  # or they would stay alive while the next one is made
    if not stored:
        raise CheckpointError(f"Cannot write {target!r}: there are no variables to write.")
    return stored


def _assemble(whole: BinaryIO, values: BinaryIO, stored: dict[str, tuple], metadata: dict[str, str]) -> None:
    order = sorted(stored, key=lambda name: -stored[name][2])
    header: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name in order:
        code, shape, _, _, length = stored[name]
        header[name] = {"dtype": code, "shape": shape, "data_offsets": [end, end + length]}
        end += length
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    whole.write(len(text).to_bytes(8, "little") + text)
    for name in order:
        *_, position, length = stored[name]
        values.seek(position)
        while length:
            piece = values.read(min(length, _CHUNK))
            if not piece:
                raise CheckpointDamagedError("A temporary file lost bytes that were written to it: is the disk faulty?")
            whole.write(piece)
            length -= len(piece)
