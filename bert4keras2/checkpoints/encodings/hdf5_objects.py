"""Groups and datasets of HDF5 files, from the messages of their headers."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from bert4keras2.checkpoints.encodings.hdf5_data import (
    UNDEFINED,
    Layout,
    Type,
    Unsupported,
    assemble,
    read_chunks,
    read_filters,
    read_layout,
    read_space,
    read_type,
    unpack,
)
from bert4keras2.checkpoints.encodings.hdf5_dense import dense_links

__all__ = ["Dataset", "Elsewhere", "Group", "is_dataset"]

_DEEPEST = 32
# Kinds of messages.
_SPACE, _LINKS, _TYPE, _LINK, _FILES, _LAYOUT = 0x01, 0x02, 0x03, 0x06, 0x07, 0x08
_FILTERS, _ATTRIBUTE, _TABLE, _ATTRIBUTES = 0x0B, 0x0C, 0x11, 0x15


class Elsewhere(NamedTuple):
    """A link to another place: to a path in the same file ("soft"), or to another file ("external")."""

    kind: str


def is_dataset(messages: list[tuple[int, bytes]]) -> bool:
    """Whether the messages of a header are those of a dataset."""
    return any(kind == _LAYOUT for kind, _ in messages)


class _Object:
    """What groups and datasets share: attributes."""

    def __init__(self, file: Any, address: int, messages: list[tuple[int, bytes]]) -> None:
        self.file, self.address, self._messages = file, address, messages

    def _contents(self, kind: int) -> list[bytes]:
        return [content for found, content in self._messages if found == kind]

    def _only(self, kind: int) -> bytes:
        found = self._contents(kind)
        if len(found) != 1:
            raise ValueError(f"{len(found)} messages of the kind {kind}")
        return found[0]

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """{name: array of numbers, list of texts, one text, or None}."""
        if any(content[-8:] != b"\xff" * 8 or content[1] & 2 for content in self._contents(_ATTRIBUTES)):
            raise Unsupported("attributes in an index of their own (libver='latest')")
        found = {}
        for content in self._contents(_ATTRIBUTE):
            name, value = self._attribute(content)
            if name in found:
                raise ValueError(f"two attributes {name[:100]!r}")
            found[name] = value
        return found

    def _attribute(self, content: bytes) -> tuple[str, Any]:
        version, at = content[0], 8 if content[0] < 3 else 9
        if version not in (1, 2, 3) or (version > 1 and content[1]):
            raise ValueError("an attribute that is damaged")
        lengths = [int.from_bytes(content[k : k + 2], "little") for k in (2, 4, 6)]
        parts = []
        for length in lengths:
            parts.append(content[at : at + length])
            at += -(-length // 8) * 8 if version == 1 else length
        name = parts[0].split(b"\0")[0].decode("utf-8")
        kind = read_type(parts[1])
        shape = read_space(parts[2], kind.size)
        if shape is None:
            return name, None
        data = content[at:]
        if len(data) < math.prod(shape) * kind.size:
            raise ValueError(f"an attribute {name[:100]!r} that is cut short")
        if kind.dtype is not None:
            return name, np.frombuffer(data, kind.dtype, math.prod(shape)).reshape(shape)
        items = [data[k * kind.size : (k + 1) * kind.size] for k in range(math.prod(shape))]
        if kind.kind == "bits":
            return name, b"".join(items)
        texts = [self._text(item) if kind.kind == "texts" else item.rstrip(b"\0") for item in items]
        if sum(map(len, texts)) > self.file.size:
            raise ValueError(f"an attribute {name[:100]!r} that is longer than the file")
        found = [text.decode("utf-8") for text in texts]
        return name, found if shape else found[0]

    def _text(self, item: bytes) -> bytes:
        length = int.from_bytes(item[:4], "little")
        if not length:
            return b""
        found = self.file.heap(int.from_bytes(item[4:12], "little"), int.from_bytes(item[12:16], "little"))
        if length > len(found):
            raise ValueError("a text that is cut short")
        return found[:length].rstrip(b"\0")


class Group(_Object):
    """A group: `name in group`, `group[name]`; a name may be a path."""

    @cached_property
    def links(self) -> dict[str, int | Elsewhere]:
        """{name: address}, or `Elsewhere`."""
        messages = self._contents(_LINK)
        for content in self._contents(_LINKS):
            start = 10 if content[1] & 1 else 2
            heap, tree = (int.from_bytes(content[at : at + 8], "little") for at in (start, start + 8))
            messages += dense_links(self.file.at, heap, tree) if heap != UNDEFINED else []
        found = dict(map(_link, messages))
        if len(found) < len(messages):
            raise ValueError("two members of one name")
        for content in self._contents(_TABLE):
            found.update(self._listed(int.from_bytes(content[:8], "little"), int.from_bytes(content[8:16], "little")))
        return found

    def __contains__(self, name: str) -> bool:
        return name in self.links

    def __getitem__(self, path: str) -> Group | Dataset:
        """Return a member; raises KeyError where there is none."""
        found: Group | Dataset = self
        for name in filter(None, path.split("/")):
            link = found.links.get(name) if isinstance(found, Group) else None
            if link is None:
                raise KeyError(path)
            if isinstance(link, Elsewhere):
                raise Unsupported(f"a link {name[:100]!r} that refers to another file or place")
            found = self.file.open(link)
        return found

    def _listed(self, tree: int, heap: int) -> dict[str, int | Elsewhere]:
        """Return the members by their table: a B-tree, whose leaves have names from a heap."""
        at, head = self.file.at, self.file.at(heap, 32)
        if head[:5] != b"HEAP\0":
            raise ValueError("names that are damaged")
        names = at(int.from_bytes(head[24:32], "little"), int.from_bytes(head[8:16], "little"))
        found: dict[str, int | Elsewhere] = {}
        nodes, seen, room = [(tree, _DEEPEST)], set(), len(names)
        while nodes:
            address, depth = nodes.pop()
            if address in seen:
                raise ValueError("a group that is part of itself")
            seen.add(address)
            head = at(address, 8)
            if head[:4] == b"TREE":
                if head[4] != 0 or head[5] >= depth:
                    raise ValueError("a group that is damaged")
                used = int.from_bytes(head[6:8], "little")
                keys = at(address + 24, 16 * used)
                nodes += [(int.from_bytes(keys[16 * k + 8 : 16 * k + 16], "little"), head[5]) for k in range(used)]
                continue
            if head[:5] != b"SNOD\1":
                raise ValueError("a group that is damaged")
            count = int.from_bytes(head[6:8], "little")
            entries = at(address + 8, 40 * count)
            for k in range(count):
                entry = entries[40 * k : 40 * k + 40]
                start = int.from_bytes(entry[:8], "little")
                end = names.find(b"\0", start)
                room -= end + 1 - start
                if end < start or room < 0:
                    raise ValueError("names that are damaged")
                name = names[start:end].decode("utf-8")
                if name in found or not name:
                    raise ValueError(f"two members {name[:100]!r}")
                soft = int.from_bytes(entry[16:20], "little") == 2
                found[name] = Elsewhere("soft") if soft else int.from_bytes(entry[8:16], "little")
        return found


def _link(content: bytes) -> tuple[str, int | Elsewhere]:
    """Return name and place of a member in a message of its own."""
    flags, at = content[1], 2
    kind = content[at] if flags & 8 else 0
    at += (1 if flags & 8 else 0) + (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
    width = 1 << (flags & 3)
    length = int.from_bytes(content[at : at + width], "little")
    at += width
    name = content[at : at + length].decode("utf-8")
    place = content[at + length :]
    if content[0] != 1 or not name or len(place) < 2:
        raise ValueError("a link that is damaged")
    return name, int.from_bytes(place[:8], "little") if kind == 0 else Elsewhere("soft" if kind == 1 else "external")


class Dataset(_Object):
    """Values of one type in an array."""

    @cached_property
    def type(self) -> Type:
        """The type of its values."""
        return read_type(self._only(_TYPE))

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        shape = read_space(self._only(_SPACE), self.type.size)
        if shape is None:
            raise ValueError("a dataset without values")
        return shape

    @cached_property
    def layout(self) -> Layout:
        """Where its values are."""
        if self._contents(_FILES):
            raise Unsupported("values in another file")
        return read_layout(self._only(_LAYOUT))

    @cached_property
    def _filters(self) -> list[tuple[int, int]]:
        found = self._contents(_FILTERS)
        return read_filters(self._only(_FILTERS)) if found else []

    def check(self) -> None:
        """Raise unless all of its values are there."""
        size = math.prod(self.shape) * self.type.size
        layout = self.layout
        if size == 0:
            return
        if layout.chunk:
            _ = self._chunks
        elif layout.values is not None:
            if len(layout.values) < size:
                raise ValueError("values that are cut short")
        elif self.file.at(layout.address, 0) or layout.size != size or self._filters:
            raise ValueError(f"{size} bytes of values in {layout.size}")
        else:
            self.file.at(layout.address + size, 0)

    @cached_property
    def _chunks(self) -> dict[tuple[int, ...], tuple[int, int, int]]:
        return read_chunks(self.file.at, self.layout, self.shape, self.type.size, self.file.size)

    def read(self) -> np.ndarray:
        """Return the values; numbers alone are read."""
        dtype = self.type.dtype
        if dtype is None:
            raise Unsupported("values that are no numbers of NumPy's")
        self.check()
        layout = self.layout
        if math.prod(self.shape) == 0:
            return np.zeros(self.shape, dtype.newbyteorder("="))
        if layout.values is not None:
            found = np.frombuffer(layout.values, dtype, math.prod(self.shape)).reshape(self.shape)
            return found.astype(dtype.newbyteorder("="))
        if not layout.chunk:
            return self.file.array(layout.address, dtype, self.shape)
        wanted = math.prod(layout.chunk) * dtype.itemsize

        def part(address: int, size: int, skipped: int) -> bytes:
            return unpack(self.file.raw(address, size), self._filters, skipped, wanted)

        parts = {place: (lambda found=found: part(*found)) for place, found in self._chunks.items()}
        return assemble(parts, layout.chunk, self.shape, dtype).astype(dtype.newbyteorder("="), copy=False)
