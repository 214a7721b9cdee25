"""Sorted tables of keys and values, as TensorFlow writes the index of a checkpoint (the format of LevelDB).

A table is blocks of prefix-compressed pairs, a block that points to the others, and a footer of 48 bytes; the format is
described at https://github.com/google/leveldb/blob/main/doc/table_format.md. Each block has a checksum. A table that
obeys the format takes time and memory in proportion to its size, and anything else is an error: a key may repeat the
beginning of the one before it, so that a few bytes could say as much as you like.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from bert4keras2.checkpoints.encodings.crc32c import crc32c, masked
from bert4keras2.checkpoints.encodings.protobuf import to_varint, varint

__all__ = ["MAGIC", "read_table", "write_table"]

MAGIC = bytes.fromhex("57fb808b247547db")  # at the end of a table
FOOTER = 48
_TRAILER = 5  # behind a block: how it is compressed, and its checksum
_BLOCK = 2**16
_RESTART = 16  # pairs after which a key is written wholly
_MOST = 64  # times that keys, or a block, may be larger than what they are stored in


def read_table(data: Any) -> Iterator[tuple[bytes, Any]]:
    """Yield the pairs of a table in their order.

    Args:
        data: its bytes, or a map of the file; values are parts of it.

    Raises:
        ValueError: if it is damaged.
    """
    if len(data) < FOOTER or data[-8:] != MAGIC:
        raise ValueError("no end mark")
    footer, at = data[len(data) - FOOTER :], 0
    handles = []
    for _ in range(4):  # offset and size of a block that is not used, and of that which points to the others
        number, at = varint(footer, at)
        handles.append(number)
    behind, previous = 0, None
    for _, handle in _pairs(_block(data, *handles[2:])):
        offset, at = varint(handle, 0)
        size, _ = varint(handle, at)
        if offset < behind:
            raise ValueError("blocks that overlap")
        behind = offset + size
        for key, value in _pairs(_block(data, offset, size)):
            if previous is not None and key <= previous:
                raise ValueError("keys that are not sorted")
            previous = key
            yield key, value


def _block(data: Any, offset: int, size: int) -> Any:
    """Return the bytes of a block, once they have been compared with their checksum."""
    if offset + size + _TRAILER > len(data) - FOOTER:
        raise ValueError("a block outside of the file")
    stored = int.from_bytes(data[offset + size + 1 : offset + size + _TRAILER], "little")
    if masked(crc32c(data[offset : offset + size + 1])) != stored:
        raise ValueError("the checksum does not match")
    block, kind = data[offset : offset + size], data[offset + size]
    if kind not in (0, 1):
        raise ValueError("a block that is compressed in an unknown way")
    return block if kind == 0 else _unsnappy(block)


def _pairs(block: Any) -> Iterator[tuple[bytes, Any]]:
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 * (restarts + 1)
    if end < 0:
        raise ValueError("a block that is cut short")
    key, at, room = b"", 0, _MOST * (len(block) + 1024)
    while at < end:
        shared, at = varint(block, at)
        fresh, at = varint(block, at)
        size, at = varint(block, at)
        if shared > len(key) or fresh + size > end - at:
            raise ValueError("a pair that is cut short")
        key = key[:shared] + bytes(block[at : at + fresh])
        at += fresh + size
        room -= len(key)
        if room < 0:
            raise ValueError("keys without measure")
        yield key, block[at - size : at]


def _unsnappy(data: Any) -> bytes:
    """Undo Snappy compression (https://github.com/google/snappy/blob/main/format_description.txt)."""
    size, at = varint(data, 0)
    if size > _MOST * len(data):
        raise ValueError("wrong length")
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
            if length > len(data) - at:
                raise ValueError("wrong length")
            out += data[at : at + length]
            at += length
            continue
        if tag & 3 == 1:  # a repetition of what came `back` bytes before
            length, back = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | int.from_bytes(data[at : at + 1], "little")
            at += 1
        else:
            width = 2 if tag & 3 == 2 else 4
            length, back = (tag >> 2) + 1, int.from_bytes(data[at : at + width], "little")
            at += width
        if not 0 < back <= len(out):
            raise ValueError("repetition of nothing")
        piece = out[len(out) - back :][:length]
        out += (piece * (length // len(piece) + 1))[:length]  # the copy may overlap its source
    if len(out) != size:
        raise ValueError("wrong length")
    return bytes(out)


def write_table(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a table of pairs that are sorted by their keys."""
    table, index, held, size = bytearray(), [], [], 0
    for key, value in pairs:
        held.append((key, value))
        size += len(key) + len(value)
        if size >= _BLOCK:
            index.append((key, _append(table, held)))
            held, size = [], 0
    if held:
        index.append((held[-1][0], _append(table, held)))
    footer = _append(table, []) + _append(table, index)
    return bytes(table) + footer.ljust(FOOTER - len(MAGIC), b"\0") + MAGIC


def _append(table: bytearray, pairs: list[tuple[bytes, bytes]]) -> bytes:
    """Append a block; return what points to it."""
    block, restarts, previous = bytearray(), [0], b""
    for number, (key, value) in enumerate(pairs):
        shared = 0
        if number % _RESTART:
            while shared < min(len(key), len(previous)) and key[shared] == previous[shared]:
                shared += 1
        elif number:
            restarts.append(len(block))
        block += to_varint(shared) + to_varint(len(key) - shared) + to_varint(len(value)) + key[shared:] + value
        previous = key
    for place in (*restarts, len(restarts)):
        block += place.to_bytes(4, "little")
    block += b"\0"  # not compressed
    offset = len(table)
    table += block + masked(crc32c(bytes(block))).to_bytes(4, "little")
    return to_varint(offset) + to_varint(len(block) - 1)
