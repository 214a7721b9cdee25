"""Pickles without running anything: plain objects as they are, classes and functions as their names.

Python's own unpickler calls what a pickle names, which is how loading a file can run code, and allocates what a pickle
says. Here a pickle is data: `Named` is a class or function, `Call` what a pickle would have called with what, and what
is made of them stays in that form. Only plain keys of dictionaries are kept, since others could take for ever to hash.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["Call", "Named", "read_pickle"]

_KEYS = (str, int, float, bytes, bool, type(None))
_MARK = object()


class Named(NamedTuple):
    """A class or function."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass
class Call:
    """What calling a class or function would have given.

    Args:
        function: a `Named`, or whatever else stands in its place in a damaged file.
        arguments: what it would have been called with.
        state: what the object would have been given afterwards.
        items: what would have been put into it, for a kind of dictionary.
    """

    function: Any
    arguments: Any
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)


def read_pickle(data: Any, at: int = 0) -> tuple[Any, int]:
    """Return the object of a pickle (protocols 2 to 5) and the position behind it.

    Args:
        data: bytes, or a map of a file.
        at: where the pickle begins.

    Returns:
        None, bool, int, float, str, bytes, list, tuple, dict, `Named`, `Call`; a persistent id comes as the
        `Call` of the name "persistent".

    Raises:
        ValueError: if it is not a pickle, cut short, or of a kind that is not known here.
    """
    machine = _Machine(data, at)
    try:
        return machine.run(), machine.at
    except (IndexError, KeyError, TypeError, AttributeError, UnicodeError, struct.error, OverflowError) as error:
        raise ValueError(f"not a whole pickle, at byte {machine.at}: {error}") from error


class _Machine:
    def __init__(self, data: Any, at: int) -> None:
        self.data, self.at = data, at
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        while True:
            code = self.take(1)
            if code == b".":
                return self.pop()
            step = _STEPS.get(code)
            if step is None:
                raise ValueError(f"unknown code {code!r} at byte {self.at - 1}")
            step(self)

    # -- bytes

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.at:
            raise ValueError("it is cut short")
        self.at += size
        return bytes(self.data[self.at - size : self.at])

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "little")

    def line(self) -> str:
        end = self.data.find(b"\n", self.at, self.at + 1000)
        if end < 0:
            raise ValueError("a name without an end")
        return self.take(end + 1 - self.at)[:-1].decode("utf-8")

    # -- the stack

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a mark in place of a value")
        return value

    def top(self, kind: type) -> Any:
        value = self.stack[-1]
        if not isinstance(value, kind):
            raise ValueError(f"{type(value).__name__} in place of {kind.__name__}")
        return value

    def marked(self) -> list[Any]:
        for place in range(len(self.stack) - 1, -1, -1):
            if self.stack[place] is _MARK:
                values = self.stack[place + 1 :]
                del self.stack[place:]
                return values
        raise ValueError("no mark")

    def several(self, count: int) -> tuple[Any, ...]:
        return tuple(reversed([self.pop() for _ in range(count)]))

    # -- what codes do

    def put_items(self, values: list[Any]) -> None:
        target = self.stack[-1]
        items = target.items if isinstance(target, Call) else self.top(dict)
        if len(values) % 2:
            raise ValueError("a key without its value")
        items.update((key, value) for key, value in zip(values[::2], values[1::2], strict=True) if type(key) in _KEYS)

    def put_values(self, values: list[Any]) -> None:
        if not isinstance(self.stack[-1], Call):  # a class that is filled like a list holds no tensors by name
            self.top(list).extend(values)

    def call(self) -> None:
        function, arguments = self.several(2)
        self.stack.append(Call(function, arguments))

    def named(self) -> Named:
        module, name = self.several(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("a class whose name is no text")
        return Named(module, name)

    def build(self) -> None:
        state = self.pop()
        if isinstance(self.stack[-1], Call):
            self.stack[-1].state = state

    def dictionary(self) -> None:
        values = self.marked()
        self.stack.append({})
        self.put_items(values)

    def long(self, width: int) -> None:
        self.stack.append(int.from_bytes(self.take(self.number(width)), "little", signed=True))

    def text(self, width: int, encoding: str = "utf-8") -> None:
        self.stack.append(self.take(self.number(width)).decode(encoding, "surrogatepass"))


def _put(make: Callable[[_Machine], Any]) -> Callable[[_Machine], None]:
    def step(machine: _Machine) -> None:
        machine.stack.append(make(machine))

    return step


def _remember(place: Callable[[_Machine], int]) -> Callable[[_Machine], None]:
    def step(machine: _Machine) -> None:
        machine.memo[place(machine)] = machine.stack[-1]

    return step


def _persistent(value: Any) -> Call:
    return Call(Named("", "persistent"), value)


_STEPS: dict[bytes, Callable[[_Machine], Any]] = {
    b"\x80": lambda m: m.take(1),  # the protocol
    b"\x95": lambda m: m.take(8),  # the length of a frame
    b"(": _put(lambda m: _MARK),
    b"0": lambda m: m.stack.pop(),
    b"1": lambda m: m.marked(),
    b"2": _put(lambda m: m.stack[-1]),
    b"N": _put(lambda m: None),
    b"\x88": _put(lambda m: True),
    b"\x89": _put(lambda m: False),
    b"J": _put(lambda m: int.from_bytes(m.take(4), "little", signed=True)),
    b"K": _put(lambda m: m.number(1)),
    b"M": _put(lambda m: m.number(2)),
    b"\x8a": lambda m: m.long(1),
    b"\x8b": lambda m: m.long(4),
    b"G": _put(lambda m: struct.unpack(">d", m.take(8))[0]),
    b"\x8c": lambda m: m.text(1),
    b"X": lambda m: m.text(4),
    b"\x8d": lambda m: m.text(8),
    b"U": lambda m: m.text(1, "latin-1"),  # texts of Python 2
    b"T": lambda m: m.text(4, "latin-1"),
    b"C": _put(lambda m: m.take(m.number(1))),
    b"B": _put(lambda m: m.take(m.number(4))),
    b"\x8e": _put(lambda m: m.take(m.number(8))),
    b"\x96": _put(lambda m: m.take(m.number(8))),
    b")": _put(lambda m: ()),
    b"\x85": _put(lambda m: m.several(1)),
    b"\x86": _put(lambda m: m.several(2)),
    b"\x87": _put(lambda m: m.several(3)),
    b"t": _put(lambda m: tuple(m.marked())),
    b"]": _put(lambda m: []),
    b"l": _put(lambda m: m.marked()),
    b"a": lambda m: m.put_values([m.pop()]),
    b"e": lambda m: m.put_values(m.marked()),
    b"}": _put(lambda m: {}),
    b"d": lambda m: m.dictionary(),
    b"s": lambda m: m.put_items(list(m.several(2))),
    b"u": lambda m: m.put_items(m.marked()),
    b"\x8f": _put(lambda m: []),  # sets stay lists: their members need not be such that hash quickly
    b"\x90": lambda m: m.put_values(m.marked()),
    b"\x91": _put(lambda m: m.marked()),
    b"c": _put(lambda m: Named(m.line(), m.line())),
    b"\x93": _put(lambda m: m.named()),
    b"R": lambda m: m.call(),
    b"\x81": lambda m: m.call(),
    b"\x92": _put(lambda m: Call(*m.several(3)[:2])),
    b"b": lambda m: m.build(),
    b"Q": _put(lambda m: _persistent(m.pop())),
    b"q": _remember(lambda m: m.number(1)),
    b"r": _remember(lambda m: m.number(4)),
    b"\x94": _remember(lambda m: len(m.memo)),
    b"h": _put(lambda m: m.memo[m.number(1)]),
    b"j": _put(lambda m: m.memo[m.number(4)]),
}
