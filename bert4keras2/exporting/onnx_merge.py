"""Nodes of an ONNX graph that are one operation: layer normalization, GELU, the product with a Dense layer's matrix.

Runtimes have these as one kernel each, but do not recognise them in what the converter makes of this library's layers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from bert4keras2.exporting.onnx_graph import Graph

__all__ = ["merge_gelus", "merge_normalizations", "merge_products"]


def merge_products(graph: Any) -> int:
    """Multiply (B, T, C) by a matrix at once, where the converter makes rows of it first and axes of them again.

    Args:
        graph: an onnx.GraphProto, changed in place.

    Returns:
        The number of products that were found.
    """
    known = Graph(graph)
    found = {}
    for node in graph.node:
        product = known.made_by(node.input[0], "MatMul") if node.op_type == "Reshape" else None
        rows = known.made_by(product.input[0], "Reshape") if product is not None else None
        if rows is None or product.input[1] not in known.constants:
            continue
        matrix = known.constants[product.input[1]].dims
        shape = known.array(rows.input[1])
        plain = shape is not None and shape.tolist() == [-1, matrix[0]]
        if plain and _keeps_axes(known, node.input[1], rows.input[0], matrix[-1]):
            found[node.output[0]] = {"op_type": "MatMul", "inputs": [rows.input[0], product.input[1]]}
    return known.replace(found)


def _keeps_axes(known: Graph, shape: str, x: str, last: int) -> bool:
    """Whether a computed shape is all sizes of x but the last, and then `last`."""
    joined = known.made_by(known.before_casts(shape), "Concat")
    if joined is None or len(joined.input) != 2:
        return False
    picked = known.made_by(known.before_casts(joined.input[0]), "Gather")
    end = known.array(known.before_casts(joined.input[1]))
    if picked is None or end is None or end.tolist() != [last]:
        return False
    sizes = known.made_by(known.before_casts(picked.input[0]), "Shape")
    axes = known.array(known.before_casts(picked.input[1]))
    return sizes is not None and sizes.input[0] == x and axes is not None and axes.tolist() in ([0], [0, 1], [0, 1, 2])


def merge_gelus(graph: Any) -> int:
    """Put ONNX's Gelu, which is of version 20, in place of x / 2 * (1 + erf(x * sqrt(1/2))).

    Args:
        graph: an onnx.GraphProto, changed in place.

    Returns:
        The number of activations that were found.
    """
    known = Graph(graph)
    found = {}
    for node in graph.node:
        x = _of_gelu(known, node) if node.op_type == "Mul" else None
        if x is not None:
            found[node.output[0]] = {"op_type": "Gelu", "inputs": [x], "approximate": "none"}
    return known.replace(found)


def _of_gelu(known: Graph, last: Any) -> str | None:
    for half, other in known.parts(last, "Mul"):
        total = known.made_by(other, "Add")
        for erf, one in known.parts(total, "Erf") if total is not None else []:
            scaled = known.made_by(erf.input[0], "Mul")
            if scaled is None or known.number(one) != 1:
                continue
            for x, factor in (tuple(scaled.input), tuple(reversed(scaled.input))):
                root = known.number(factor)
                halves = [known.number(name) for name in half.input if name != x]
                if root is not None and math.isclose(root, math.sqrt(0.5), rel_tol=1e-6) and halves == [0.5]:
                    return x
    return None


def merge_normalizations(graph: Any) -> int:
    """Put ONNX's LayerNormalization in place of centred * (rsqrt(mean(centred ** 2) + epsilon) * gamma) + beta.

    Args:
        graph: an onnx.GraphProto, changed in place.

    Returns:
        The number of layers that were found.
    """
    known = Graph(graph)
    found = {}
    for node in graph.node:
        match = _normalization(known, node) if node.op_type == "Add" else None
        if match is not None:
            x, gamma, beta, epsilon = match
            inputs = [x, known.as_vector(gamma), known.as_vector(beta)]
            found[node.output[0]] = {
                "op_type": "LayerNormalization", "inputs": inputs, "axis": -1, "epsilon": epsilon
            }  # fmt: skip
    return known.replace(found)


def _normalization(known: Graph, last: Any) -> tuple[str, str, str, float] | None:
    """Return (x, gamma, beta, epsilon) if a node ends a layer normalization."""
    for scaled, beta in known.parts(last, "Mul"):
        if not known.vector(beta):
            continue
        for centred, factor in known.parts(scaled, "Sub"):
            product = known.made_by(factor, "Mul")
            mean = known.made_by(centred.input[1], "ReduceMean")
            if product is None or mean is None or mean.input[0] != centred.input[0] or not _last_axis(known, mean):
                continue
            for root, gamma in known.parts(product, "Reciprocal"):
                epsilon = _epsilon(known, root, centred.output[0])
                if epsilon is not None and known.vector(gamma):
                    return centred.input[0], gamma, beta, epsilon
    return None


def _epsilon(known: Graph, inverse: Any, centred: str) -> float | None:
    """Return what is added to the variance of a centred value of which a node is the inverse deviation."""
    root = known.made_by(inverse.input[0], "Sqrt")
    total = known.made_by(root.input[0], "Add") if root is not None else None
    for variance, epsilon in known.parts(total, "ReduceMean") if total is not None else []:
        square = known.made_by(variance.input[0], "Mul")
        if square is not None and list(square.input) == [centred, centred] and _last_axis(known, variance):
            return known.number(epsilon)
    return None


def _last_axis(known: Graph, node: Any) -> bool:
    """Whether a node reduces over the last axis of (B, T, C) alone, and keeps it."""
    said = {attribute.name: attribute for attribute in node.attribute}
    if "keepdims" in said and not said["keepdims"].i:
        return False
    axes: Sequence[int] = said["axes"].ints if "axes" in said else ()
    if len(node.input) > 1:
        array = known.array(node.input[1])
        axes = [] if array is None else array.tolist()
    return list(axes) in ([-1], [2])
