"""Matching all variables of a checkpoint with a table, without a model: which name is which variable."""

from __future__ import annotations

import fnmatch
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from bert4keras2.checkpoints.names.recognise import block_numbers
from bert4keras2.checkpoints.names.stored import Stored, find_root, rooted
from bert4keras2.families.family import PLACEHOLDERS, Table

__all__ = ["Matches", "keras2_matches", "match", "possible_paths"]

# The inner weights of layers that Keras 2 numbered (dense, dense_1, ...), in its order.
INNER = {
    "FeedForward": {2: ("i0", "o"), 3: ("i0", "i1", "o")},
    "Attention": {4: ("q", "k", "v", "o")},
    "GatedAttentionUnit": {2: ("i", "o")},
}
# Tables that a model computes: no released checkpoint has them.
COMPUTED = re.compile(r"(^|/)Embedding-(Relative|Rotary)-Position/")


@dataclass
class Matches:
    """What a checkpoint holds.

    Args:
        found: {path of a model's variable: where it is}.
        left_out: names that hold no weights of a model: optimizer slots, counters, copies of tied matrices.
        unknown: names that the table does not know.
    """

    found: dict[str, Stored] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def match(names: Sequence[str], table: Table, layers: int = 0) -> Matches:
    """Match the names of a checkpoint with a table.

    Args:
        names: of the checkpoint's variables.
        table: the names of its family in its format.
        layers: number of blocks to look for besides those that the names speak of.
    """
    present = set(names)
    # A number in a name is that of one block, and no reason to look for all before it: a few bytes could say any.
    paths = list(possible_paths(table, sorted({*block_numbers(names), *range(layers)})))
    candidates = {path: place for path in paths if (place := table.find(path)) is not None}
    root = find_root(table, candidates.values(), present.__contains__)
    result = Matches()
    used: set[str] = set()
    for path, place in candidates.items():
        choices = rooted(place.names, root)
        used.update(name for name in choices[1:] if name in present and choices[0] in present)
        name = next((name for name in choices if name in present), None)
        if name is not None:
            result.found[path] = Stored(name, place.transpose, place.part)
            used.add(name)
    for name in names:
        if name not in used:
            slot = any(fnmatch.fnmatchcase(name, pattern) for pattern in table.ignore)
            (result.left_out if slot else result.unknown).append(name)
    return result


def possible_paths(table: Table, blocks: Sequence[int]) -> dict[str, None]:
    """Return the variables, as the keys of a dictionary, that models with blocks of these numbers may have."""
    found: dict[str, None] = {}
    for row in table.rows:
        keys = list(dict.fromkeys(re.findall(r"\{(\w+)\}", row.path)))
        choices = [map(str, blocks) if key == "i" else PLACEHOLDERS[key].split("|") for key in keys]
        for values in itertools.product(*map(list, choices)):
            found[row.path.format(**dict(zip(keys, values, strict=True)))] = None
    return found


def keras2_matches(layers: Sequence[tuple[str, list[str]]], table: Table) -> Matches:
    """Match a weight file of Keras 2, whose layers have the names of the model's.

    Args:
        layers: what `Keras2Reader.layers` returns.
        table: any table of the family, to tell the model's layers from those that a script put on top.
    """
    result = Matches()
    for layer, names in layers:
        order = _inner_order(layer, sum("/kernel" in name for name in names))
        kernels = scales = -1
        for name in names:
            own = name.removeprefix(f"{layer}/").split(":")[0]
            inner = own.removeprefix(f"{layer}/")
            path = f"{layer}/{inner}"
            if order is not None and "/" in inner:
                kind = inner.rpartition("/")[2]
                kernels, scales = kernels + (kind == "kernel"), scales + (kind == "gamma")
                norm = kind in ("gamma", "beta")  # of a gated attention unit
                path = (
                    f"{layer}/{'qk'[scales]}_scaleoffset/{kind}" if norm else f"{layer}/{order[kernels]}_dense/{kind}"
                )
            if COMPUTED.search(path) and table.find(path) is None:
                result.left_out.append(name)
            elif table.find(path) is None:
                result.unknown.append(name)
            else:
                result.found[path] = Stored(name)
    return result


def _inner_order(layer: str, kernels: int) -> tuple[str, ...] | None:
    for ending, orders in INNER.items():
        if layer.endswith(ending):
            return orders.get(kernels)
    return None
