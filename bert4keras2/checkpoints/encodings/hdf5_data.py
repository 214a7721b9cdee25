"""Types, shapes and stored values of HDF5 files: what Keras writes of the format, and nothing else.

The format is described at https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from bert4keras2.checkpoints.encodings.arrays import array_dtype, array_shape

__all__ = [
    "UNDEFINED", "Layout", "Type", "Unsupported", "assemble", "read_chunks", "read_filters", "read_layout",
    "read_space", "read_type", "unpack",
]  # fmt: skip

UNDEFINED = 2**64 - 1
_CHUNKED_NODE = 24  # bytes of a B-tree's node before its keys
_MOST_CHUNKS = 10**6
_DEEPEST = 8
# (bits of the exponent, of the mantissa) of floating types.
_FLOATS = {(2, 5, 10): "float16", (2, 8, 7): "bfloat16", (4, 8, 23): "float32", (8, 11, 52): "float64"}
_SHUFFLE, _DEFLATE, _FLETCHER = 2, 1, 3


class Unsupported(ValueError):
    """Something that the format allows and Keras does not write."""


class Type(NamedTuple):
    """A type: "number", "text" of fixed length, "texts" of any length, or "bits"; bytes of a value; NumPy's type."""

    kind: str
    size: int
    dtype: np.dtype | None = None


class Layout(NamedTuple):
    """Where values are: the values themselves, or address and size, or the address of an index of chunks."""

    values: bytes | None = None
    address: int = UNDEFINED
    size: int = 0
    chunk: tuple[int, ...] = ()


def read_type(message: bytes) -> Type:
    """Return the type that a message describes."""
    kind, order, size = message[0] & 15, message[1] & 1, int.from_bytes(message[4:8], "little")
    sign = ">" if order else "<"
    if kind == 0 and size in (1, 2, 4, 8):
        letter = "i" if message[1] & 8 else "u"
        if int.from_bytes(message[8:10], "little") or int.from_bytes(message[10:12], "little") != 8 * size:
            raise Unsupported("whole numbers in a part of their bytes")
        return Type("number", size, np.dtype(f"{sign}{letter}{size}"))
    if kind == 1:
        name = _FLOATS.get((size, message[13], message[15]))
        known = name is not None and not message[1] & 0x40
        return Type("number", size, array_dtype(name).newbyteorder(sign)) if known else Type("bits", size)
    if kind == 3 and size:
        return Type("text", size)
    if kind == 5 and size:  # how Keras' bfloat16 is written by some versions of h5py
        return Type("bits", size)
    if kind == 8:  # names for numbers: how booleans are written
        if message[8] & 15:
            raise Unsupported("names for values that are no whole numbers")
        base = read_type(message[8:])
        names = message[8 + 12 :]
        truth = base.dtype == np.int8 and names.startswith((b"FALSE\0", b"TRUE\0"))
        return Type("number", base.size, np.dtype(bool) if truth else base.dtype)
    if kind == 9 and message[1] & 15 == 1 and size == 16:
        return Type("texts", size)
    raise Unsupported(f"values of the type number {kind}")


def read_space(message: bytes, itemsize: int) -> tuple[int, ...] | None:
    """Return the shape that a message describes; None for no value at all."""
    version, rank, flags = message[0], message[1], message[2]
    if version not in (1, 2) or flags & ~3 or (version == 1 and flags & 2):
        raise ValueError("a shape of an unknown form")
    if version == 2 and message[3] == 2:
        return None
    start = 8 if version == 1 else 4
    if len(message) < start + 8 * rank:
        raise ValueError("a shape that is cut short")
    sizes = [int.from_bytes(message[start + 8 * axis :][:8], "little") for axis in range(rank)]
    return array_shape(sizes, itemsize, f"a shape of {str(sizes)[:100]}")


def read_layout(message: bytes) -> Layout:
    """Return where the values of a dataset are."""
    version, kind = message[0], message[1]
    if version not in (3, 4):
        raise Unsupported("a layout of the years before 2008")
    if kind == 0:
        size = int.from_bytes(message[2:4], "little")
        if size > len(message) - 4:
            raise ValueError("values that are cut short")
        return Layout(message[4 : 4 + size])
    if kind == 1:
        return Layout(None, int.from_bytes(message[2:10], "little"), int.from_bytes(message[10:18], "little"))
    if kind == 2 and version == 3:
        rank, address = message[2], int.from_bytes(message[3:11], "little")
        if len(message) < 11 + 4 * rank or not 1 < rank <= 33:
            raise ValueError("chunks that are cut short")
        sizes = tuple(int.from_bytes(message[11 + 4 * axis :][:4], "little") for axis in range(rank))
        return Layout(None, address, 0, sizes[:-1])
    raise Unsupported("values in another file" if kind == 3 else "chunks of the newest form (libver='latest')")


def read_filters(message: bytes) -> list[tuple[int, int]]:
    """Return number and first setting of what has been done to chunks, in the order in which it was done."""
    version, count = message[0], message[1]
    if version not in (1, 2) or count > 32:
        raise ValueError("filters of an unknown form")
    at, found = 8 if version == 1 else 2, []
    for _ in range(count):
        number = int.from_bytes(message[at : at + 2], "little")
        named = version == 1 or number >= 256
        length = int.from_bytes(message[at + 2 : at + 4], "little") if named else 0
        at += 4 if named else 2
        settings = int.from_bytes(message[at + 2 : at + 4], "little")
        at += 4 + (-(-length // 8) * 8 if version == 1 else length)
        found.append((number, int.from_bytes(message[at : at + 4], "little")))
        at += 4 * settings + (4 if version == 1 and settings % 2 else 0)
        if at > len(message) or number not in (_SHUFFLE, _DEFLATE, _FLETCHER):
            raise Unsupported(f"values packed by the filter number {number}")
    return found


def read_chunks(
    at: Callable[[int, int], bytes], layout: Layout, shape: tuple[int, ...], size: int, stored: int
) -> dict[tuple[int, ...], tuple[int, int, int]]:
    """Return {place of a chunk: (address, bytes, filters that were left out)} of all chunks of a dataset.

    Args:
        at: (address, bytes) -> the bytes.
        layout: of the dataset.
        shape: of the dataset.
        size: bytes of a value.
        stored: bytes of the file: its values cannot be more than compression would make of that.

    Raises:
        ValueError: if the index is damaged, or chunks are missing.
    """
    chunk = array_shape(layout.chunk, size, "chunks without measure")
    if len(chunk) != len(shape) or 0 in chunk:
        raise ValueError("chunks of another rank")
    counts = [-(-length // step) for length, step in zip(shape, chunk, strict=True)]
    # "deflate" makes at most 1032 bytes of one, and each chunk is listed.
    most = 1100 * stored
    if max(math.prod(chunk), math.prod(shape)) * size > most or math.prod(counts) > min(_MOST_CHUNKS, stored // 8):
        raise ValueError(f"{math.prod(shape)} values in a file of {stored} bytes")
    found: dict[tuple[int, ...], tuple[int, int, int]] = {}
    nodes, seen = [(layout.address, _DEEPEST)], set()
    width = 16 + 8 * len(chunk)
    while nodes:
        address, depth = nodes.pop()
        head = at(address, _CHUNKED_NODE)
        if head[:5] != b"TREE\1" or address in seen or head[5] >= depth:
            raise ValueError("an index of chunks that is damaged")
        seen.add(address)
        used = int.from_bytes(head[6:8], "little")
        keys = at(address + _CHUNKED_NODE, used * (width + 8))
        for number in range(used):
            key = keys[number * (width + 8) : (number + 1) * (width + 8)]
            child = int.from_bytes(key[width:], "little")
            if head[5]:
                nodes.append((child, head[5]))
                continue
            place = tuple(int.from_bytes(key[8 + 8 * axis :][:8], "little") for axis in range(len(chunk)))
            length, skipped = int.from_bytes(key[:4], "little"), int.from_bytes(key[4:8], "little")
            if any(start % step or start >= end for start, step, end in zip(place, chunk, shape, strict=True)):
                raise ValueError("a chunk outside of the array")
            at(child, length)
            found[place] = child, length, skipped
    if len(found) != math.prod(counts):
        raise ValueError(f"{len(found)} of {math.prod(counts)} chunks")
    return found


def unpack(data: bytes, filters: list[tuple[int, int]], skipped: int, wanted: int) -> bytes:
    """Undo what was done to a chunk of `wanted` bytes."""
    for place, (number, setting) in reversed(list(enumerate(filters))):
        if skipped >> place & 1:
            continue
        if number == _FLETCHER:
            data = data[:-4]
        elif number == _DEFLATE:
            machine = zlib.decompressobj()
            try:
                data = machine.decompress(data, wanted + 64)
            except zlib.error as error:
                raise ValueError(str(error)) from error
        elif setting > 1:
            rest = len(data) % setting
            whole = np.frombuffer(data, np.uint8, len(data) - rest)
            data = whole.reshape(setting, -1).T.tobytes() + data[len(data) - rest :]
    if len(data) != wanted:
        raise ValueError(f"{len(data)} bytes in a chunk of {wanted}")
    return data


def assemble(chunks: dict[tuple[int, ...], Any], chunk: tuple[int, ...], shape: tuple[int, ...], dtype: Any) -> Any:
    """Return the array of which `chunks` yields the bytes of each part."""
    whole = np.zeros(shape, dtype)
    for place, data in chunks.items():
        part = np.frombuffer(data(), dtype).reshape(chunk)
        room = tuple(slice(start, start + step) for start, step in zip(place, chunk, strict=True))
        kept = tuple(slice(0, end - start) for start, end in zip(place, shape, strict=True))
        whole[room] = part[kept]
    return whole
