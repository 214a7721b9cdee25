"""How a ladder starts: as the parts of its encoder that weigh most (structured pruning, arXiv:2206.06522)."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from keras import ops

__all__ = ["start_from_backbone"]


def start_from_backbone(ladder: Any) -> None:
    """Give a ladder the rows and columns of its encoder's matrices whose absolute sums are largest.

    Which of the encoder's hidden units stay is the same everywhere, the projections to the ladder and back among them:
    a ladder as wide as the encoder whose gates are open to itself alone computes what the encoder does.

    Args:
        ladder: whose encoder is `ladder.backbone`.
    """
    narrow, wide = ladder.config, ladder.backbone.config
    factor = wide.hidden_size // narrow.hidden_size
    taken = {path: variable for _, _, path, variable in ladder.backbone._variables()}
    taken = {path: np.asarray(ops.convert_to_numpy(variable), "float32") for path, variable in taken.items()}
    own = {path: variable for _, _, path, variable in ladder._variables()}
    kept = _largest(_hidden_weight(taken, wide.hidden_size), factor)
    for path, variable in own.items():
        if path.startswith("Down"):
            value = np.eye(wide.hidden_size)[:, kept] if path.endswith("kernel") else np.zeros(len(kept))
        elif path.startswith("Up"):
            value = np.eye(wide.hidden_size)[kept] if path.endswith("kernel") else np.zeros(wide.hidden_size)
        elif path.startswith(("Transformer-", "Output-Norm")):
            value = _part(path, ladder, taken, kept, factor)
        else:
            continue  # the encoder's own, and gates
        if tuple(value.shape) != tuple(variable.shape):
            raise ValueError(f"{path} of the ladder is {tuple(variable.shape)}, and the encoder's part {value.shape}")
        variable.assign(value)


def _hidden_weight(taken: dict[str, np.ndarray], width: int) -> np.ndarray:
    """Return how much each hidden unit weighs: in what reads it and in what writes it."""
    total = np.zeros(width)
    for path, value in taken.items():
        if value.ndim != 2 or "Transformer" not in path:
            continue
        axis = 0 if path.endswith("o_dense/kernel") else 1
        if value.shape[1 - axis] == width:
            total += np.abs(value).sum(axis)
    return total


def _largest(weight: np.ndarray, factor: int, pairs: bool = False) -> np.ndarray:
    """Return the rising places of the largest 1 / factor of some weights; neighbours stay together if `pairs`."""
    if pairs:
        weight = np.repeat(weight.reshape(-1, 2).sum(1), 2)
    count = len(weight) // factor
    order = np.argsort(-weight, kind="stable")
    return np.sort(order[:count])


def _grouped(weight: np.ndarray, groups: int, factor: int, pairs: bool = False) -> np.ndarray:
    """Return the places that `_largest` finds in each of some groups of equal size, such as heads."""
    size = len(weight) // groups
    parts = weight.reshape(groups, size)
    return np.concatenate([_largest(part, factor, pairs) + size * number for number, part in enumerate(parts)])


def _part(path: str, ladder: Any, taken: dict[str, np.ndarray], kept: np.ndarray, factor: int) -> np.ndarray:
    """Return what a variable of a ladder's block starts as."""
    wide = ladder.backbone.config
    source = path
    if match := re.match(r"Transformer-(\d+)-", path):
        number = ladder.blocks[int(match[1])]
        source = f"{ladder.backbone.block_name(number)}-{path[match.end() :]}"
    value, layer = taken[source], source.rsplit("/", 2 if source.count("/") > 1 else 1)[0]
    pairs = wide.position == "rotary"

    def weight(*names: str) -> np.ndarray:
        return sum(np.abs(taken[f"{layer}/{name}/kernel"]).sum(0) for name in names)

    def units(name: str) -> np.ndarray:
        """Return which of the inner units of a layer's part stay."""
        if layer.endswith("Attention"):
            if name in ("q_dense", "k_dense"):
                return _grouped(weight("q_dense", "k_dense"), wide.num_attention_heads, factor, pairs)
            return _grouped(weight("v_dense"), wide.num_attention_heads, factor)
        if layer.endswith("FeedForward"):
            return _largest(weight(*(n for n in ("i0_dense", "i1_dense") if f"{layer}/{n}/kernel" in taken)), factor)
        inner, total = wide.intermediate_size, weight("i_dense")  # a gated unit: gate, values, what keys are made of
        both = _largest(total[:inner] + total[inner : 2 * inner], factor)
        keys = _largest(total[2 * inner :], factor, pairs)
        if name == "o_dense":
            return both
        return keys if "scaleoffset" in name else np.concatenate([both, both + inner, keys + 2 * inner])

    name = source[len(layer) + 1 :].split("/")[0]
    if value.ndim == 2 and name == "o_dense":
        return value[units(name)][:, kept]
    if value.ndim == 2:
        return value[kept][:, units(name)]
    return value[kept] if name == "o_dense" or "/" not in source[len(layer) + 1 :] else value[units(name)]
