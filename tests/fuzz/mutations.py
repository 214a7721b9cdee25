"""Changes of bytes and of JSON, drawn from a seeded generator."""

from __future__ import annotations

import copy
import json
from random import Random
from typing import Any

__all__ = ["mutated_bytes", "mutated_json", "mutated_text"]

_NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    8,
    31,
    127,
    128,
    255,
    256,
    65535,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**40,
    2**62,
    2**63,
    2**64 - 1,
)
# What a value of JSON becomes: of another type, beyond all measure, or a text that nobody expects there.
_VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 7, 1.5, -0.5, 1e308, float("nan"), float("inf"), 2**31, 2**53, 2**63, 10**30,
    "", "x", "0", "-1", "float32", "F32", "\0", "\ud800", "../x", "/etc/passwd", "a" * 300, "龘", [], {}, [[]], [0, 1],
    [None], {"a": 1}, [1] * 70, [0, 2**63], [-2, -3], [2.0, 3.0], [True, 6], {"type": "x"},
)  # fmt: skip


def mutated_bytes(random: Random, data: bytes) -> bytes:
    """Return data with one to four changes: bits, numbers, stretches that are zeroed, cut, doubled, moved."""
    found = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 3, 4))):
        at, size = random.randrange(len(found) + 1), random.choice((1, 2, 4, 8, 16, 64, 200, 1000))
        kind = random.randrange(10)
        if kind == 0 and at < len(found):
            found[at] ^= 1 << random.randrange(8)
        elif kind == 1 and at < len(found):
            found[at] = random.randrange(256)
        elif kind in (2, 3):
            width = random.choice((1, 2, 4, 8))
            value = random.choice(_NUMBERS) % 256**width
            found[at : at + width] = value.to_bytes(width, random.choice(("little", "big")))
        elif kind == 4:
            found[at : at + size] = bytes(min(size, len(found) - at))
        elif kind == 5:
            del found[at:]
        elif kind == 6:
            del found[at : at + size]
        elif kind == 7:
            found[at:at] = random.randbytes(size)
        elif kind == 8:
            source = random.randrange(len(found) + 1)
            found[at : at + size] = found[source : source + size]
        else:
            source = random.randrange(len(found) + 1)
            found[at:at] = found[source : source + size]
    return bytes(found)


def mutated_json(random: Random, content: Any) -> Any:
    """Return a value of JSON of which one to three parts are changed."""
    content = copy.deepcopy(content)
    for _ in range(random.choice((1, 1, 2, 3))):
        places = _places(content)
        if not places:
            return random.choice(_VALUES)
        parent, key = random.choice(places)
        kind = random.randrange(6)
        if kind == 0:
            del parent[key]
        elif kind == 1 and isinstance(parent, dict):
            parent[random.choice(("", "x", "__metadata__", "layer_999999999", "a" * 200, "\0"))] = parent.pop(key)
        elif kind == 2:
            other, place = random.choice(places)
            parent[key] = copy.deepcopy(other.get(place) if isinstance(other, dict) else other[place : place + 1])
        elif kind == 3 and isinstance(parent[key], int | float) and abs(parent[key]) < 1e300:
            parent[key] = parent[key] * random.choice((-1, 2, 10, 1000, 0.5)) + random.choice((0, 1, -1))
        else:
            parent[key] = copy.deepcopy(random.choice(_VALUES))
    return content


def _places(content: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    waiting = [content]
    while waiting:
        part = waiting.pop()
        keys = list(part) if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
        found += [(part, key) for key in keys]
        waiting += [part[key] for key in keys]
    return found


def mutated_text(random: Random, text: bytes) -> bytes:
    """Return JSON, changed as JSON or as bytes, nested without measure, or something else under its name."""
    kind = random.randrange(12)
    if kind == 0:
        return b"<!DOCTYPE html><html><body>404</body></html>"
    if kind == 1:
        return b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 411529776\n"
    if kind == 2:
        deep = random.choice((b"[", b'{"a":'))
        return deep * random.choice((10, 100, 1000, 100000))
    try:
        content = json.loads(text)
    except ValueError:  # it has been changed before
        kind = 3
    if kind < 6:
        return mutated_bytes(random, text)
    changed = json.dumps(mutated_json(random, content))
    if kind == 6:
        changed = changed[:-1] + "," + changed[1:]  # every key twice
    return changed.encode("utf-8", "surrogatepass")
