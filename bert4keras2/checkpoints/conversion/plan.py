"""Variables on their way from one checkpoint to another: what is written under which name, and its values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bert4keras2.checkpoints.formats.reader import Reader
from bert4keras2.checkpoints.loader import table_for
from bert4keras2.checkpoints.names.matching import Matches
from bert4keras2.checkpoints.names.stored import Stored, rooted
from bert4keras2.errors import CheckpointError
from bert4keras2.families.family import Part

__all__ = ["Piece", "Plan", "equal", "plan_for", "value"]

CHUNK = 2**20


@dataclass(frozen=True)
class Piece:
    """One variable of the model on its way: where it is in the source, and how the target stores it."""

    source: Stored
    transpose: bool
    part: Part | None


Plan = dict[str, list[Piece]]  # by name in the target; more than one piece where the target packs variables together


def plan_for(matches: Matches, family: str, to: str) -> Plan:
    """Return what to write under which name.

    Raises:
        CheckpointError: if the target has no names for some variables.
    """
    table = table_for(family, to)
    plan: Plan = {}
    nameless = []
    for path, stored in matches.found.items():
        place = table.find(path)
        if place is None:
            nameless.append(stored.name)
            continue
        name = rooted(place.names[:1], table.roots[0])[0]
        plan.setdefault(name, []).append(Piece(stored, place.transpose, place.part))
    if nameless:
        raise CheckpointError(
            f"{to} has no names for {len(nameless)} variables of {family} models: {', '.join(nameless[:8])}"
        )
    if not plan:
        raise CheckpointError(f"The checkpoint holds no variables of {family} models. Is it of another family?")
    for name, pieces in plan.items():
        pieces.sort(key=lambda piece: piece.part.index if piece.part else 0)
        part = pieces[0].part
        if len(pieces) != (part.count if part else 1):
            raise CheckpointError(
                f"{name!r} is made of {part.count if part else 1} variables, and the checkpoint has {len(pieces)} of "
                f"them: {', '.join(piece.source.name for piece in pieces)}"
            )
    return plan


def value(reader: Reader, pieces: list[Piece], dtype: str | None) -> np.ndarray:
    """Read what the target stores under one name."""
    arrays = [_piece(reader, piece) for piece in pieces]
    array = arrays[0] if len(arrays) == 1 else np.concatenate(arrays, pieces[0].part.axis)
    del arrays
    if dtype is not None and _floating(array):
        with np.errstate(over="ignore"):
            array = array.astype(_dtype(dtype), copy=False)
    return np.ascontiguousarray(array)


def _piece(reader: Reader, piece: Piece) -> np.ndarray:
    source = piece.source
    if source.model_shape(tuple(reader.shape(source.name))) is None:
        raise CheckpointError(
            f"{source.name!r} in {reader.path!r} has the shape {list(reader.shape(source.name))}, which does not split "
            f"into {source.part.count} parts"
        )
    array = source.model_array(reader.read(source.name))
    return array.T if piece.transpose else array


def _floating(array: np.ndarray) -> bool:
    return array.dtype.kind == "f" or array.dtype.name == "bfloat16"


def _dtype(name: str) -> np.dtype:
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def equal(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two arrays have the same type, shape and bits, compared in pieces."""
    if first.dtype != second.dtype or first.shape != second.shape:
        return False
    bits = [np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in (first, second)]
    return all(np.array_equal(*(part[at : at + CHUNK] for part in bits)) for at in range(0, bits[0].size, CHUNK))
