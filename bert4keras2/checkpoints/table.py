"""Mapping tables: what each of a model's variables is called in a checkpoint, and how it is stored there."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field, replace
from typing import NamedTuple

__all__ = ["Part", "Place", "Row", "Table"]

# What a placeholder of a row matches in the names of the model's variables.
PLACEHOLDERS = {"i": r"\d+", "dense": "kernel|bias", "norm": "beta|gamma", "qkv": "q|k|v"}


class Part(NamedTuple):
    """Which of several equal parts of a stored array a variable is: the names of GPT-2 pack q, k and v like this."""

    axis: int
    index: int
    count: int


class Place(NamedTuple):
    """Where a variable is in a checkpoint: the names that it may have, whether transposed, which part of the array."""

    names: list[str]
    transpose: bool = False
    part: Part | None = None


@dataclass(frozen=True)
class Row:
    """One pair of names, with placeholders in braces that stand for the same on both sides.

    Args:
        path: a model's variable, such as "Transformer-{i}-FeedForward/i0_dense/{dense}".
        name: the checkpoint's name for it.
        transpose: the checkpoint stores the matrix transposed.
        aliases: further names that old files use.
        part: the variable is one part of the stored array; all parts of it have rows of the same name.
    """

    path: str
    name: str
    transpose: bool = False
    aliases: tuple[str, ...] = ()
    part: Part | None = None


@dataclass(frozen=True)
class Table:
    """The names of one source for the variables of one family.

    Args:
        rows: the pairs of names; the first that matches counts.
        words: what the values of placeholders are called there, such as {"kernel": "weight"}.
        transposed: all matrices called "kernel" are stored transposed.
        heads: patterns of names that other heads of the family use: no reason for a warning.
        ignore: patterns of names that hold no weights, such as optimizer slots.
        roots: prefixes that all names may have or lack; the first that fits is taken.
    """

    rows: tuple[Row, ...]
    words: dict[str, str] = field(default_factory=dict)
    transposed: bool = False
    heads: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    roots: tuple[str, ...] = ("",)

    def find(self, path: str) -> Place | None:
        """Return where a variable is in the checkpoint.

        Args:
            path: the variable's path without the model's prefix.

        Returns:
            None if the table says nothing about the variable.
        """
        for row in self.rows:
            match = re.fullmatch(_pattern(row.path), path)
            if match:
                values = {
                    name: int(value) if name == "i" else self.words.get(value, value)
                    for name, value in match.groupdict().items()
                }
                names = [name.format(**values) for name in (row.name, *row.aliases)]
                transpose = row.transpose or (self.transposed and path.endswith("/kernel"))
                return Place(names, transpose, row.part)
        return None

    def silent(self, name: str) -> bool:
        """Whether a name of the checkpoint that the model does not use is nothing to warn about."""
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in (*self.heads, *self.ignore))

    def variant(self, drop: tuple[str, ...] = (), plus: tuple[Row, ...] = (), **changes) -> Table:
        """Return a table with rows dropped (by patterns of their paths) and others put first."""
        kept = tuple(row for row in self.rows if not any(fnmatch.fnmatchcase(row.path, p) for p in drop))
        return replace(self, rows=(*plus, *kept), **changes)


def _pattern(template: str) -> str:
    """Return the regular expression of a path with placeholders."""
    parts = re.split(r"\{(\w+)\}", template)
    return "".join(f"(?P<{p}>{PLACEHOLDERS[p]})" if k % 2 else re.escape(p) for k, p in enumerate(parts))
