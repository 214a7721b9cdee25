"""The checksum of TensorFlow's files, CRC-32C (Castagnoli), by NumPy.

A checksum is linear over bits: what a word of 32 bits adds to it does not depend on the others, but for how many words
come after, each of which multiplies it by y = x^32 modulo a polynomial. Two things follow from that.

Since y^16184 = y^1905 + y^281 + 1, a word can be added to three later ones in place of itself, whole blocks at once:
large arrays are folded in this way into their last 64 KiB (`_fold`). And the words of a row can be moved on over the
length of a row by looking up their halves, and be added to the words below them (`_rows`), which leaves one row.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

__all__ = ["crc32c", "masked"]

_POLYNOMIAL = 0x82F63B78  # bits reversed
_ALL = 0xFFFFFFFF
_POWER, _TERMS = 16184, (1905, 281, 0)  # y to that power is the sum of y to these
_STEP = _POWER - _TERMS[0]  # words that are added to later ones at once
_PIECE = 4 * _STEP  # words that are worked on together, so that they stay in the cache
_WIDTHS = (1024, 64)  # words in a row: long ones first, short ones for what they leave


def crc32c(data: Any, value: int = 0) -> int:
    """Return the checksum of data.

    Args:
        data: bytes, or an array that is contiguous in memory.
        value: the checksum of what came before.
    """
    array = data.reshape(-1).view(np.uint8) if isinstance(data, np.ndarray) else np.frombuffer(data, np.uint8)
    state = value ^ _ALL
    whole = (len(array) // 4 - _POWER) // _STEP * _STEP  # words that can be folded into those after them
    if whole > 0:
        end = 4 * (whole + _POWER)
        state = _state(_fold(array[:end].view("<u4"), whole, state).view(np.uint8), 0)
        array = array[end:]
    return _state(array, state) ^ _ALL


def masked(value: int) -> int:
    """Return a checksum as TensorFlow stores it: files hold checksums of data that hold checksums."""
    return ((value >> 15 | value << 17) + 0xA282EAD8) & _ALL


def _fold(words: np.ndarray, whole: int, state: int) -> np.ndarray:
    """Return as many words as `_POWER` with the checksum of all words that follow on a state.

    Args:
        words: (whole + _POWER) of them.
        whole: how many to add to later ones, a multiple of `_STEP`.
        state: before the first.
    """
    buffer = np.empty(_POWER + _PIECE, "<u4")
    buffer[:_POWER] = words[:_POWER]
    buffer[0] ^= state
    for start in range(0, whole, _PIECE):
        size = min(_PIECE, whole - start)
        buffer[_POWER : _POWER + size] = words[_POWER + start : _POWER + start + size]
        for at in range(0, size, _STEP):
            for term in _TERMS:
                later = at + _POWER - term
                buffer[later : later + _STEP] ^= buffer[at : at + _STEP]
        buffer[:_POWER] = buffer[size : size + _POWER]
    return buffer[:_POWER]


def _state(array: np.ndarray, state: int) -> int:
    """Return the state after bytes that follow on a state."""
    for width in _WIDTHS:
        rows = len(array) // (4 * width)
        if rows > 1:
            state = _rows(array[: rows * 4 * width].view("<u4").reshape(rows, width), state)
            array = array[rows * 4 * width :]
    return _bytewise(array, state)


def _rows(rows: np.ndarray, state: int) -> int:
    """Return the state after a matrix of words (R, W) that follows on a state."""
    low, high = _tables(rows.shape[1])
    words = np.zeros(rows.shape[1], np.int64)
    words[0] = state
    for row in rows[:-1]:
        words ^= row
        words = low[words & 0xFFFF] ^ high[words >> 16]
    last = (words ^ rows[-1]).astype("<u4")
    shorter = _WIDTHS[-1]
    return _rows(last.reshape(-1, shorter), 0) if len(last) > shorter else _bytewise(last.view(np.uint8), 0)


def _bytewise(array: np.ndarray, state: int) -> int:
    table = _bytes()
    for byte in array.tolist():
        state = state >> 8 ^ table[(state ^ byte) & 255]
    return state


@functools.lru_cache(maxsize=1)
def _bytes() -> tuple[int, ...]:
    """What each value of a byte does to a state."""
    table = []
    for state in range(256):
        for _ in range(8):
            state = state >> 1 ^ (_POLYNOMIAL if state & 1 else 0)
        table.append(state)
    return tuple(table)


@functools.lru_cache(maxsize=len(_WIDTHS))
def _tables(width: int) -> tuple[np.ndarray, np.ndarray]:
    """What becomes of the lower and the upper half of a word over the bytes of a row."""
    bits = [1 << bit for bit in range(32)]
    table = _bytes()
    for _ in range(4):
        bits = [state >> 8 ^ table[state & 255] for state in bits]
    while width > 1:  # twice as far
        bits = [_moved(state, bits) for state in bits]
        width //= 2
    halves = []
    for half in (bits[:16], bits[16:]):
        values = np.zeros(1, np.int64)
        for bit in half:
            values = np.concatenate([values, values ^ bit])
        halves.append(values)
    return halves[0], halves[1]


def _moved(state: int, bits: list[int]) -> int:
    """Return a state after a number of bytes, from what they make of each single bit."""
    result = 0
    for bit in bits:
        if state & 1:
            result ^= bit
        state >>= 1
    return result
