"""Groups of HDF5 files with many members whose names are not all ASCII: links in a heap, found by a tree.

HDF5 keeps the links of such a group in a "fractal heap", whose blocks double in size, and the places of these links in
a "version 2 B-tree".
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator

from bert4keras2.checkpoints.encodings.hdf5_data import UNDEFINED, Unsupported

__all__ = ["dense_links"]

_BY_NAME = 5  # the type of a tree whose records are a hash of the name, in 4 bytes, and the link's place in the heap
_NODE = 10  # bytes of a node besides its records and pointers
_DEEPEST = 8

At = Callable[[int, int], bytes]


def dense_links(at: At, heap: int, tree: int) -> Iterator[bytes]:
    """Yield the messages of a group's links.

    Args:
        at: (address, bytes) -> the bytes.
        heap: address of the heap.
        tree: address of the tree.

    Raises:
        ValueError: if they are damaged.
    """
    find = _heap(at, heap)
    for record in _records(at, tree):
        yield find(record[4:])


def _number(data: bytes, start: int, size: int) -> int:
    return int.from_bytes(data[start : start + size], "little")


def _heap(at: At, address: int) -> Callable[[bytes], bytes]:
    """Return a function from the place of an object to its bytes."""
    head = at(address, 146)
    if head[:5] != b"FRHP\0" or _number(head, 7, 2):
        raise ValueError("a heap of links that is damaged")
    width, first, largest = _number(head, 110, 2), _number(head, 112, 8), _number(head, 120, 8)
    offset_size, root, rows = -(-_number(head, 128, 2) // 8), _number(head, 132, 8), _number(head, 140, 2)
    if not width or not first or largest < first or first & (first - 1) or largest & (largest - 1) or offset_size > 8:
        raise ValueError("a heap of links that is damaged")
    if rows > largest.bit_length() - first.bit_length() + 2:
        raise Unsupported("a group of so many members that its heap has blocks of blocks")
    blocks = [(0, first, root)]  # (offset in the heap, bytes, address)
    if rows:
        start = root + 13 + offset_size
        if at(root, 5) != b"FHIB\0":
            raise ValueError("a heap of links that is damaged")
        addresses, offset, blocks = at(start, 8 * rows * width), 0, []
        for place in range(rows * width):
            size = first << max(place // width - 1, 0)
            blocks.append((offset, size, _number(addresses, 8 * place, 8)))
            offset += size

    def find(place: bytes) -> bytes:
        offset, length = _number(place, 1, offset_size), _number(place, 1 + offset_size, len(place))
        start, size, block = blocks[bisect.bisect_right(blocks, (offset, UNDEFINED)) - 1]
        if offset + length > start + size or place[0] & 0xF0 or block == UNDEFINED:
            raise ValueError("a link that is nowhere")
        return at(block + offset - start, length)

    return find


def _records(at: At, address: int) -> Iterator[bytes]:
    head = at(address, 34)
    node, size, depth = _number(head, 6, 4), _number(head, 10, 2), _number(head, 12, 2)
    if head[:5] != b"BTHD\0" or head[5] != _BY_NAME or size < 5 or depth > _DEEPEST or node < _NODE + size:
        raise ValueError("a tree of links that is damaged")
    # How wide the numbers in pointers are follows from how many records could be below.
    most = (node - _NODE) // size
    count_size, below, totals = _bytes_of(most), most, [0]
    for _ in range(depth):
        pointer = 8 + count_size + totals[-1]
        own = max(0, (node - _NODE - pointer) // (size + pointer))
        below = (own + 1) * below + own
        totals.append(_bytes_of(below))
    nodes = [(_number(head, 16, 8), _number(head, 24, 2), depth)] if _number(head, 26, 8) else []
    while nodes:
        place, count, level = nodes.pop()
        if count * size > node - _NODE or at(place, 4) != (b"BTIN" if level else b"BTLF"):
            raise ValueError("a tree of links that is damaged")
        records = at(place + 6, count * size)
        yield from (records[k * size : (k + 1) * size] for k in range(count))
        if level:
            pointer = 8 + count_size + totals[level - 1]
            children = at(place + 6 + count * size, (count + 1) * pointer)
            for k in range(count + 1):
                child = children[k * pointer : (k + 1) * pointer]
                nodes.append((_number(child, 0, 8), _number(child, 8, count_size), level - 1))


def _bytes_of(number: int) -> int:
    return (max(number, 1).bit_length() - 1) // 8 + 1
