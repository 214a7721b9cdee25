"""HDF5 files, read without the HDF5 library: that hangs or crashes on damaged ones, and nothing can interrupt it.

Read is what Keras and h5py write by default: groups, attributes of numbers and texts, datasets of numbers in one piece,
in chunks, or compressed. Everything that a file says is checked before it is believed; errors are ValueErrors and
IndexErrors, of the kind `Unsupported` where the file may be whole and has what Keras does not write.
"""

from __future__ import annotations

import contextlib
import math
import mmap
from typing import Any

import numpy as np

from bert4keras2.checkpoints.encodings.hdf5_data import UNDEFINED, Unsupported
from bert4keras2.checkpoints.encodings.hdf5_objects import Dataset, Elsewhere, Group, is_dataset

__all__ = ["SIGNATURE", "Dataset", "Group", "Hdf5File", "Unsupported"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MOST_BLOCKS = 4096  # of one object's header
_CONTINUED = 0x10  # the kind of message that tells where a header goes on
# Messages that say nothing about values: none, fill values, group info, comments, times, reference counts.
_SILENT = {0x00, 0x04, 0x05, 0x0A, 0x0D, 0x0E, 0x12, 0x16}


class Hdf5File:
    """An open file; `root` is its outermost group.

    Args:
        path: the file.
        data: its content, where that is a part of another file; read from the path if None.

    Raises:
        ValueError, IndexError: if it is damaged, or cut short.
    """

    def __init__(self, path: str, data: Any = None) -> None:
        self._path = path
        self._file: mmap.mmap | None = None
        if data is None:
            with open(path, "rb") as file:
                self._file = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._map = memoryview(self._file if data is None else data)
        self._heaps: dict[int, dict[int, bytes]] = {}
        self._objects: dict[int, Group | Dataset] = {}
        self.size = len(self._map)
        self._left = 16 * self.size + 2**20
        try:
            self.root = self._open_root()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; arrays that were read stay."""
        with contextlib.suppress(BufferError):  # an error on its way may hold a part of it, and the map goes with that
            self._map.release()
            if self._file is not None:
                self._file.close()

    def at(self, address: int, size: int) -> bytes:
        """Return bytes that describe something; each part of a file that is whole is asked for a few times at most."""
        self._left -= size
        if self._left < 0:
            raise ValueError("parts that are used over and over")
        return self.raw(address, size)

    def raw(self, address: int, size: int) -> bytes:
        """Return bytes of the file."""
        start = self._base + address
        if address == UNDEFINED or size > self.size - start:
            raise ValueError(f"bytes {address} to {address + size} of a file of {self.size}")
        return bytes(self._map[start : start + size])

    def array(self, address: int, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        """Return values that are stored in one piece."""
        count, start = math.prod(shape), self._base + address
        self.at(address + count * dtype.itemsize, 0)
        if self._file is None:
            found = np.frombuffer(self._map, dtype, count, start)
        else:  # what is read through the map would stay in memory
            found = np.fromfile(self._path, dtype, count, offset=start)
        return found.reshape(shape).astype(dtype.newbyteorder("="), copy=self._file is None)

    def open(self, address: int) -> Group | Dataset:
        """Return the object at an address."""
        if address not in self._objects:
            messages = self._messages(address)
            made = Dataset if is_dataset(messages) else Group
            self._objects[address] = made(self, address, messages)
        return self._objects[address]

    def walk(self) -> int:
        """Look at everything that the file has, and return how many objects that is."""
        waiting: list[Group | Dataset] = [self.root]
        seen: set[int] = set()
        while waiting:
            found = waiting.pop()
            if found.address in seen:
                continue
            seen.add(found.address)
            _ = found.attributes
            if isinstance(found, Group):
                if elsewhere := next((name for name, link in found.links.items() if isinstance(link, Elsewhere)), None):
                    raise Unsupported(f"a link to another place, {elsewhere[:100]!r}")
                waiting += [self.open(link) for link in found.links.values() if isinstance(link, int)]
            else:
                found.check()
        return len(seen)

    def heap(self, address: int, number: int) -> bytes:
        """Return an object of a global heap, where texts of any length are."""
        if address not in self._heaps:
            head = self.at(address, 16)
            size = int.from_bytes(head[8:], "little")
            if head[:5] != b"GCOL\1" or not 16 < size <= self.size:
                raise ValueError("a heap of texts that is damaged")
            heap, at, found = self.at(address, size), 16, {}
            while at + 16 <= size:
                index, length = (
                    int.from_bytes(heap[at : at + 2], "little"),
                    int.from_bytes(heap[at + 8 : at + 16], "little"),
                )
                # The rest, which is free, counts its own head.
                taken = 16 + -(-length // 8) * 8 if index else length
                if taken < 16 or taken > size - at or index in found:
                    raise ValueError("a heap of texts that is damaged")
                found[index] = heap[at + 16 : at + 16 + length] if index else b""
                at += taken
            self._heaps[address] = found
        found = self._heaps[address]
        if not number or number not in found:
            raise ValueError("a text that is nowhere")
        return found[number]

    def _open_root(self) -> Group:
        self._base = next((at for at in (0, 512, 1024, 2048) if self._map[at : at + 8] == SIGNATURE), -1)
        if self._base < 0:
            raise ValueError("no signature")
        head = bytes(self._map[self._base : self._base + 96])
        if len(head) < 80:
            raise ValueError("cut short")
        version = head[8]
        if version not in (0, 1, 2, 3):
            raise ValueError("a form of the format that is not known")
        sizes, start = (head[13:15], 24 + 4 * version) if version < 2 else (head[9:11], 12)
        numbers = [int.from_bytes(head[start + 8 * k : start + 8 * k + 8], "little") for k in range(6)]
        if sizes != b"\x08\x08":
            raise Unsupported("addresses of another width than 8 bytes")
        end, address = (numbers[2], numbers[5]) if version < 2 else (numbers[2], numbers[3])
        if numbers[0] not in (0, self._base):
            raise ValueError("a beginning that is elsewhere")
        if end > self.size:
            raise ValueError(f"cut short: it has {self.size} bytes and should have {end}")
        root = self.open(address)
        if not isinstance(root, Group):
            raise ValueError("values in place of a group")
        return root

    def _messages(self, address: int) -> list[tuple[int, bytes]]:
        """Return kind and content of the messages of an object's header."""
        head = self.at(address, 16)
        newer = head[:4] == b"OHDR"
        if newer:
            flags = head[5]
            start = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
            width = 1 << (flags & 3)
            blocks = [(start + width, int.from_bytes(self.at(start, width), "little"))]
            fixed = 6 if flags & 4 else 4
        elif head[0] == 1:
            blocks, fixed = [(address + 16, int.from_bytes(head[8:12], "little"))], 8
        else:
            raise ValueError("an object that is damaged")
        found: list[tuple[int, bytes]] = []
        for start, size in blocks:  # which grows
            block, at = self.at(start, size), 0
            while at + fixed <= size:
                kind = block[at] if newer else int.from_bytes(block[at : at + 2], "little")
                length = int.from_bytes(block[at + 1 : at + 3] if newer else block[at + 2 : at + 4], "little")
                shared = block[at + (3 if newer else 4)] & 2
                at += fixed
                if length > size - at:
                    raise ValueError("an object that is cut short")
                content = block[at : at + length]
                at += length
                if kind == _CONTINUED:
                    place, rest = int.from_bytes(content[:8], "little"), int.from_bytes(content[8:16], "little")
                    if newer and self.at(place, 4) != b"OCHK":
                        raise ValueError("an object that is damaged")
                    blocks.append((place + 4, rest - 8) if newer else (place, rest))
                elif kind not in _SILENT:
                    if shared:
                        raise Unsupported("types that several values share")
                    found.append((kind, content))
            if len(blocks) > _MOST_BLOCKS:
                raise ValueError("an object without an end")
        return found
