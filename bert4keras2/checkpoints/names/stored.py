"""From what a file stores to what a model has: shapes and arrays of single variables, and the root of names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from bert4keras2.families.family import Part, Place, Table

__all__ = ["Stored", "find_root", "rooted"]


@dataclass(frozen=True)
class Stored:
    """Where a checkpoint has one of a model's variables.

    Args:
        name: its name in the file.
        transpose: the file has the transposed matrix.
        part: which part of the stored array the variable is, None if it is all of it.
    """

    name: str
    transpose: bool = False
    part: Part | None = None

    def model_shape(self, shape: tuple[int, ...], rank: int = 2) -> tuple[int, ...] | None:
        """Return the shape that the model's variable has if the file's array has this one.

        Args:
            shape: of the stored array.
            rank: of the model's variable: GPT-2's matrices are stored as convolutions of width 1.

        Returns:
            None if the array does not split into the parts that it should consist of.
        """
        if len(shape) == rank + 1 and shape[0] == 1:
            shape = shape[1:]
        if self.part is not None:
            if not shape or shape[self.part.axis] % self.part.count:
                return None
            axis = self.part.axis % len(shape)
            shape = (*shape[:axis], shape[axis] // self.part.count, *shape[axis + 1 :])
        return shape[::-1] if self.transpose else shape

    def model_array(self, array: np.ndarray, rank: int = 2) -> np.ndarray:
        """Return the model's array for the file's, whose `model_shape` is known to exist."""
        if array.ndim == rank + 1 and array.shape[0] == 1:
            array = array[0]
        if self.part is not None:
            array = np.split(array, self.part.count, self.part.axis)[self.part.index]
        return array.T if self.transpose else array


def rooted(names: Iterable[str], root: str) -> list[str]:
    """Return names with the root before them, but for those of heads, which begin with a slash."""
    return [name[1:] if name.startswith("/") else root + name for name in names]


def find_root(table: Table, places: Iterable[Place], present: Callable[[str], bool]) -> str:
    """Return the table's prefix under which most variables are found.

    Args:
        table: whose `roots` are tried; of equally good ones the first is returned.
        places: where the variables may be.
        present: whether the checkpoint has a name.
    """
    places = list(places)
    hits = {root: sum(any(map(present, rooted(place.names, root))) for place in places) for root in table.roots}
    return max(table.roots, key=hits.__getitem__)
