"""Reads the `.index` file of a TensorFlow checkpoint: what is where in its data files, and whether those are complete.

The index is a table (`sstable`) whose values are protocol buffers: under the empty key a header with the number of data
files, under each variable name its type and shape, and data file, offset, size and checksum of its bytes. A variable
that was saved in parts has its parts under keys of their own, which begin with a zero byte.
"""

from __future__ import annotations

import functools
import glob
import math
import os
from typing import Any, NamedTuple

from bert4keras2.checkpoints.encodings.arrays import array_dtype, array_shape
from bert4keras2.checkpoints.encodings.protobuf import bytes_field, fields, last, number_field, signed, texts
from bert4keras2.checkpoints.encodings.sstable import FOOTER, MAGIC, read_table, write_table
from bert4keras2.errors import CheckpointDamagedError, CheckpointNotFoundError
from bert4keras2.files import reject_impostor

__all__ = [
    "OBJECT_GRAPH", "TYPES", "BundleIndex", "Entry", "Place", "check_data_files", "data_file", "extents", "index_bytes",
    "read_index", "shape_of",
]  # fmt: skip

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
# Numbers of tensorflow.DataType (tensorflow/core/framework/types.proto).
TYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "string", 8: "complex64",
    9: "int64", 10: "bool", 14: "bfloat16", 17: "uint16", 18: "complex128", 19: "float16", 22: "uint32", 23: "uint64",
    24: "float8_e5m2", 25: "float8_e4m3fn",
}  # fmt: skip
_NUMBERS = {name: number for number, name in TYPES.items()}
_LARGEST = 2**62
_MOST_FILES = 99999  # five digits number them


class Place(NamedTuple):
    """Where bytes are: data file, offset and size in it, and their masked checksum."""

    file: int
    offset: int
    size: int
    checksum: int


class Entry(NamedTuple):
    """A variable: shape, name of its type, where its bytes are, and of one saved in parts each part's extents."""

    shape: tuple[int, ...]
    dtype: str
    place: Place
    parts: tuple[tuple[tuple[slice, ...], Place], ...] = ()


class BundleIndex(NamedTuple):
    """What the index says.

    Args:
        entries: {name of a variable: what is known of it}.
        file_bytes: the least size in bytes of each data file.
        big_endian: whether numbers are stored with the first byte first.
    """

    entries: dict[str, Entry]
    file_bytes: list[int]
    big_endian: bool


def read_index(path: str) -> BundleIndex | None:
    """Parse an index file; one that has not changed since is not parsed again.

    Args:
        path: the `.index` file.

    Returns:
        Names and places, or None when the file is a table of another kind (a V1 checkpoint).

    Raises:
        CheckpointDamagedError: the file is cut short, changed, or says what cannot be.
    """
    found = os.stat(path)
    return _read(path, found.st_mtime_ns, found.st_size, found.st_ino)


# Finding a checkpoint, recognising its family and opening it all ask for the index.
@functools.lru_cache(maxsize=4)
def _read(path: str, *_: int) -> BundleIndex | None:
    with open(path, "rb") as file:
        data = file.read()
    if len(data) < FOOTER or not data.endswith(MAGIC):
        raise CheckpointDamagedError(
            f"The index {path!r} ({len(data)} bytes) is cut short or damaged: it lacks the end mark of a TensorFlow "
            "checkpoint. Download it again."
        )
    try:
        return _parse(data)
    except (ValueError, IndexError) as error:
        raise CheckpointDamagedError(f"The index {path!r} is damaged ({error}). Download it again.") from error


def _parse(data: bytes) -> BundleIndex | None:
    entries: dict[str, Entry] = {}
    parts: dict[str, dict[Any, Place]] = {}
    files: list[int] = []
    split: dict[str, list[tuple[tuple[slice, ...], Any]]] = {}
    big_endian = False
    for key, value in read_table(data):
        if not files:
            header = dict(fields(value)) if key == b"" else {1: b""}
            if not isinstance(header.get(1, 1), int) or 2 in header and not isinstance(header[2], int):
                return None
            count = header.get(1, 1)
            if not 0 < count <= _MOST_FILES:
                raise ValueError(f"{count} data files")
            files, big_endian = [0] * count, header.get(2) == 1
            continue
        message = last(value, {1: int, 2: bytes, 3: int, 4: int, 5: int, 6: int})
        place = Place(*(message.get(number, 0) for number in (3, 4, 5, 6)))
        if place.file >= len(files) or place.offset + place.size >= _LARGEST:
            raise ValueError(f"bytes of {key[:100]!r} that are nowhere")
        files[place.file] = max(files[place.file], place.offset + place.size)
        if key.startswith(b"\0"):
            name, extent = part_of(key)
            parts.setdefault(name, {})[extent] = place
            continue
        name, number = key.decode("utf-8"), message.get(1, 0)
        dtype = TYPES.get(number, f"type {number} (not supported)")
        shape = shape_of(message.get(2, b""), dtype, name)
        size = array_dtype(dtype).itemsize if number in TYPES and dtype != "string" else 0
        entries[name] = Entry(shape, dtype, place)
        if saved := texts(value, 7):
            split[name] = [extents(message, shape) for message in saved]
        elif size and place.size != math.prod(shape) * size:
            raise ValueError(f"{name[:100]!r} of the shape {list(shape)} in {place.size} bytes")
    if not files:
        return None  # an empty table
    for name, wanted in split.items():
        entry, found = entries[name], parts.get(name, {})
        listed = tuple((extent, found[key]) for extent, key in wanted if key in found)
        sizes = [math.prod(at.stop - at.start for at in extent) for extent, _ in listed]
        if len(listed) < len(wanted) or sum(sizes) != math.prod(entry.shape):
            raise ValueError(f"{name[:100]!r} lacks parts of it")
        width = array_dtype(entry.dtype).itemsize if entry.dtype in _NUMBERS and entry.dtype != "string" else 0
        if width and any(place.size != size * width for size, (_, place) in zip(sizes, listed, strict=True)):
            raise ValueError(f"{name[:100]!r} has parts of other sizes")
        entries[name] = entry._replace(parts=listed)
    return BundleIndex(entries, files, big_endian)


def shape_of(message: Any, dtype: str, name: str) -> tuple[int, ...]:
    """Return the sizes of a TensorShapeProto.

    Raises:
        ValueError: if they are unknown, or none that an array can have.
    """
    sizes = [signed(last(size, {1: int}).get(1, 0)) for size in texts(message, 2)]
    if last(message, {3: int}).get(3):
        raise ValueError(f"no shape of {name[:100]!r}")
    width = array_dtype(dtype).itemsize if dtype in _NUMBERS and dtype != "string" else 1
    return array_shape(sizes, width, f"the shape of {name[:100]!r}, {str(sizes)[:100]}")


def extents(message: Any, shape: tuple[int, ...]) -> tuple[tuple[slice, ...], Any]:
    """Return which part of an array a TensorSliceProto means, and how the key of that part spells it.

    Raises:
        ValueError: if there is no such part.
    """
    found, spelt = [], []
    for size, extent in zip(shape, texts(message, 1), strict=True):
        at = last(extent, {1: int, 2: int})
        start = signed(at.get(1, 0))
        stop = start + signed(at[2]) if 2 in at else size
        if not 0 <= start <= stop <= size:
            raise ValueError("a part outside of the array")
        found.append(slice(start, stop))
        spelt.append((start, stop - start) if 2 in at else (0, -1))
    return tuple(found), tuple(spelt)


def part_of(key: bytes) -> tuple[str, Any]:
    """Return the variable's name and (start, length) on each axis from the key of a part.

    The encoding keeps the order of what it encodes (OrderedCode): a zero, the name, the number of axes, the extents.
    """
    escaped, mark, rest = key[1:].partition(b"\0\1")
    name = escaped.replace(b"\0\xff", b"\0").replace(b"\xff\0", b"\xff").decode("utf-8")
    width = rest[0] if mark and rest else 0
    axes, at = int.from_bytes(rest[1 : 1 + width], "big"), 1 + width
    numbers = []
    for _ in range(2 * min(axes, 64)):
        number, at = _ordered(rest, at)
        numbers.append(number)
    return name, tuple(zip(numbers[::2], numbers[1::2], strict=True))


def _ordered(data: bytes, at: int) -> tuple[int, int]:
    """Return a signed number: as many ones as it has bytes, a zero, its bits; all inverted if it is negative."""
    inverted = 0 if data[at] & 128 else 255
    head = int.from_bytes(bytes(byte ^ inverted for byte in data[at : at + 2].ljust(2, b"\0")), "big")
    width = next((ones for ones in range(1, 11) if not head >> (15 - ones) & 1), 10)
    if at + width > len(data):
        raise ValueError("a key that is cut short")
    value = int.from_bytes(bytes(byte ^ inverted for byte in data[at : at + width]), "big") & ((1 << 7 * width) - 1)
    return ~value if inverted else value, at + width


def index_bytes(entries: dict[str, Entry], files: int) -> bytes:
    """Return the content of an index file of variables that are saved in one part each.

    Args:
        entries: {name: entry}.
        files: number of data files.
    """
    pairs = [(b"", number_field(1, files) + bytes_field(3, number_field(1, 1)))]
    for name, entry in sorted((name.encode("utf-8"), entry) for name, entry in entries.items()):
        shape = b"".join(bytes_field(2, number_field(1, size)) for size in entry.shape)
        place = entry.place
        message = number_field(1, _NUMBERS[entry.dtype]) + bytes_field(2, shape)
        message += number_field(3, place.file) + number_field(4, place.offset) + number_field(5, place.size)
        pairs.append((name, message + b"\x35" + place.checksum.to_bytes(4, "little")))
    return write_table(pairs)


def data_file(prefix: str, number: int, count: int) -> str:
    """Return the path of a data file."""
    return f"{prefix}.data-{number:05d}-of-{count:05d}"


def check_data_files(prefix: str, index: BundleIndex) -> None:
    """Raise unless all data files of a checkpoint are there and long enough.

    Args:
        prefix: the path without `.index`.
        index: what `read_index` returned.

    Raises:
        CheckpointNotFoundError: a data file is absent; the message lists those that are there.
        CheckpointDamagedError: a data file is shorter than the index says.
        CheckpointFormatError: a data file is a Git LFS pointer or a web page.
    """
    count = len(index.file_bytes)
    for number, wanted in enumerate(index.file_bytes):
        path = data_file(prefix, number, count)
        if not os.path.isfile(path):
            present = sorted(map(os.path.basename, glob.glob(glob.escape(prefix) + ".data-*-of-*")))
            if not present:
                advice = "no data file is there: the download is incomplete. Put the data beside the index."
            elif any(name.endswith(f"-of-{count:05d}") for name in present):
                advice = f"there are only {', '.join(map(repr, present))}: the download is incomplete. Get the others."
            else:
                advice = (
                    f"there are {', '.join(map(repr, present))}, which belong to a checkpoint with another number of "
                    "data files. Download index and data together."
                )
            raise CheckpointNotFoundError(
                f"The TensorFlow checkpoint {prefix!r} wants {count} data file(s), and {os.path.basename(path)!r} is "
                f"missing; {advice}"
            )
        if wanted:
            reject_impostor(path)
        size = os.path.getsize(path)
        if size < wanted:
            raise CheckpointDamagedError(
                f"The data file {path!r} is cut short: it has {size} bytes, the index needs {wanted}. Download it "
                "again."
            )
