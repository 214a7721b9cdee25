"""Protocol buffers without their schemas: the fields of a message, and how they are written.

The encoding is described at https://protobuf.dev/programming-guides/encoding/. All errors are ValueErrors; who reads a
file says which.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["bytes_field", "fields", "last", "number_field", "signed", "texts", "to_varint", "varint"]

_LONGEST_VARINT = 10


def varint(data: Any, at: int) -> tuple[int, int]:
    """Return a whole number of variable length, and the position behind it."""
    value = shift = 0
    for byte in bytes(data[at : at + _LONGEST_VARINT]):
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
    raise ValueError("a number without an end")


def fields(message: Any) -> Iterator[tuple[int, Any]]:
    """Yield number and value of each field: an int, or a part of `message` for texts and messages."""
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = varint(message, at)
            yield number, value
            continue
        if kind == 2:
            size, at = varint(message, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError("a field of an unknown kind")
        if not number or size > len(message) - at:
            raise ValueError("a field that is cut short")
        part = message[at : at + size]
        yield number, part if kind == 2 else int.from_bytes(part, "little")
        at += size


def last(message: Any, kinds: dict[int, type]) -> dict[int, Any]:
    """Return the last value of each field.

    Args:
        message: the message.
        kinds: int or bytes for each field that matters; others are left out.

    Raises:
        ValueError: if a field is of another kind, or the message is damaged.
    """
    found: dict[int, Any] = {}
    for number, value in fields(message):
        if number in kinds:
            if isinstance(value, int) != (kinds[number] is int):
                raise ValueError(f"field {number} is of another kind")
            found[number] = value
    return found


def texts(message: Any, number: int) -> list[Any]:
    """Return all values of a field of texts or messages."""
    found = [value for key, value in fields(message) if key == number]
    if any(isinstance(value, int) for value in found):
        raise ValueError(f"field {number} is of another kind")
    return found


def signed(value: int) -> int:
    """Return the signed number that a field of 64 bits holds."""
    return value - (1 << 64) if value >> 63 else value


def to_varint(value: int) -> bytes:
    """Return the encoding of a whole number from 0 on."""
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def number_field(number: int, value: int) -> bytes:
    """Return the encoding of a field with a whole number; nothing for 0, which readers take for granted."""
    return to_varint(number << 3) + to_varint(value) if value else b""


def bytes_field(number: int, value: bytes) -> bytes:
    """Return the encoding of a field with a text or message."""
    return to_varint(number << 3 | 2) + to_varint(len(value)) + value
