"""Reads the `.index` file of a TensorFlow checkpoint, to tell whether its data files are complete.

The index is a sorted table: blocks of prefix-compressed key/value pairs, one block that points to the others, and a
footer of 48 bytes. The values are protocol buffers: under the empty key a header with the number of data files, under
each variable name the data file, offset and size of its bytes. TensorFlow itself looks at the data files only when a
variable is read and then reports little; knowing the sizes beforehand gives errors that help.
"""

from __future__ import annotations

import functools
import glob
import os
from collections.abc import Iterator
from typing import NamedTuple

from bert4keras2.checkpoints.formats.errors import CheckpointDamagedError, CheckpointNotFoundError
from bert4keras2.checkpoints.formats.sniff import reject_impostor

__all__ = ["OBJECT_GRAPH", "BundleIndex", "check_data_files", "read_index"]

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
# Numbers of tensorflow.DataType (tensorflow/core/framework/types.proto).
_TYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "string", 8: "complex64",
    9: "int64", 10: "bool", 14: "bfloat16", 17: "uint16", 19: "float16", 22: "uint32", 23: "uint64",
}  # fmt: skip
_FOOTER = 48


class BundleIndex(NamedTuple):
    """What the index says.

    Args:
        entries: {name of a variable: (shape, name of its type)}.
        shard_bytes: the least size in bytes of each data file.
    """

    entries: dict[str, tuple[tuple[int, ...], str]]
    shard_bytes: list[int]


def read_index(path: str) -> BundleIndex | None:
    """Parse an index file; one that has not changed since is not parsed again.

    Args:
        path: the `.index` file.

    Returns:
        Names and sizes, or None when the file is a table of another kind (a V1 checkpoint).

    Raises:
        CheckpointDamagedError: the file is cut short or not a table.
    """
    found = os.stat(path)
    return _read(path, found.st_mtime_ns, found.st_size, found.st_ino)


# Finding a checkpoint, recognising its family and opening it all ask for the index.
@functools.lru_cache(maxsize=4)
def _read(path: str, *_: int) -> BundleIndex | None:
    with open(path, "rb") as file:
        data = file.read()
    if len(data) < _FOOTER or data[-8:] != bytes.fromhex("57fb808b247547db"):
        raise CheckpointDamagedError(
            f"The index {path!r} ({len(data)} bytes) is cut short or damaged: it lacks the end mark of a TensorFlow "
            "checkpoint. Download it again."
        )
    try:
        return _parse(data)
    except (IndexError, ValueError):
        raise CheckpointDamagedError(f"The index {path!r} is damaged. Download it again.") from None


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
    count = len(index.shard_bytes)
    for shard, wanted in enumerate(index.shard_bytes):
        path = f"{prefix}.data-{shard:05d}-of-{count:05d}"
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


def _parse(data: bytes) -> BundleIndex | None:
    footer = data[-_FOOTER:]
    _, at = _varint(footer, 0)
    _, at = _varint(footer, at)  # the handle of the metaindex block, which is not used
    offset, at = _varint(footer, at)
    size, _ = _varint(footer, at)
    entries: dict[str, tuple[tuple[int, ...], str]] = {}
    needed: dict[int, int] = {}
    count = 0
    for _, handle in _block(data, offset, size):
        block_offset, at = _varint(handle, 0)
        block_size, _ = _varint(handle, at)
        for key, value in _block(data, block_offset, block_size):
            fields = dict(_fields(value))
            if key == b"":
                count = int(fields.get(1, 1))
            elif 1 in fields:
                shard = int(fields.get(3, 0))
                needed[shard] = max(needed.get(shard, 0), int(fields.get(4, 0)) + int(fields.get(5, 0)))
                # Pieces of a partitioned variable have keys that start with a zero byte.
                if not key.startswith(b"\0"):
                    kind = _TYPES.get(int(fields.get(1, 0)), f"type {fields.get(1)}")
                    entries[key.decode("utf-8")] = _shape(fields.get(2, b"")), kind
    if count == 0:
        return None
    if count > 99999:
        raise ValueError("more data files than five digits can number")
    return BundleIndex(entries, [needed.get(shard, 0) for shard in range(count)])


def _shape(message: bytes) -> tuple[int, ...]:
    """Return the sizes of a TensorShapeProto."""
    return tuple(int(dict(_fields(dim)).get(1, 0)) for number, dim in _fields(message) if number == 2)


def _block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the key/value pairs of one block; each key repeats the beginning of the one before it."""
    if offset + size > len(data) - _FOOTER:
        raise ValueError("block outside of the file")
    block = data[offset : offset + size]
    if data[offset + size] == 1:  # the byte behind a block tells its compression; released checkpoints have both
        block = _unsnappy(block)
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 * (restarts + 1)
    key = b""
    at = 0
    while at < end:
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, block[at : at + length]
        at += length


def _unsnappy(data: bytes) -> bytes:
    """Undo Snappy compression (https://github.com/google/snappy/blob/main/format_description.txt)."""
    size, at = _varint(data, 0)
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:  # bytes as they are
            length = (tag >> 2) + 1
            if length > 60:
                extra = length - 60
                length = int.from_bytes(data[at : at + extra], "little") + 1
                at += extra
            out += data[at : at + length]
            at += length
            continue
        if tag & 3 == 1:  # a repetition of what came `back` bytes before
            length, back = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | data[at]
            at += 1
        else:
            width = 2 if tag & 3 == 2 else 4
            length, back = (tag >> 2) + 1, int.from_bytes(data[at : at + width], "little")
            at += width
        start = len(out) - back
        if back == 0 or start < 0:
            raise ValueError("repetition of nothing")
        for position in range(start, start + length):  # one by one: the copy may overlap its source
            out.append(out[position])
    if len(out) != size:
        raise ValueError("wrong length")
    return bytes(out)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of the fields of a protocol buffer."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        wire = tag & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
        elif wire == 2:
            length, at = _varint(message, at)
            yield tag >> 3, message[at : at + length]
            at += length
        elif wire in (1, 5):
            width = 8 if wire == 1 else 4
            yield tag >> 3, int.from_bytes(message[at : at + width], "little")
            at += width
        else:
            raise ValueError("unknown wire type")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Decode a variable-length integer; return it and the position behind it."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
        shift += 7
