"""ONNX graphs after their conversion: who makes what, what nobody reads, names of dimensions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bert4keras2.exporting.packages import load_package

__all__ = ["Graph", "call_dimensions", "name_dimensions"]


class Graph:
    """Who makes each value of a graph, and what is constant.

    Args:
        graph: an onnx.GraphProto.
    """

    def __init__(self, graph: Any):
        self.proto = graph
        self._onnx = load_package("onnx", "Exporting to ONNX")
        self.makers = {name: node for node in graph.node for name in node.output}
        self.constants = {tensor.name: tensor for tensor in graph.initializer}

    def made_by(self, name: str, kind: str) -> Any:
        """Return the node of a kind that makes a value, None if another one does."""
        node = self.makers.get(name)
        return node if node is not None and node.op_type == kind else None

    def before_casts(self, name: str) -> str:
        """Return the value that a value is a cast of, through all casts; or the value itself."""
        while (node := self.made_by(name, "Cast")) is not None:
            name = node.input[0]
        return name

    def array(self, name: str) -> np.ndarray | None:
        """Return a constant, None for a value that is computed."""
        tensor = self.constants.get(name)
        return None if tensor is None else self._onnx.numpy_helper.to_array(tensor)

    def number(self, name: str) -> float | None:
        """Return a constant scalar, None for any other value."""
        tensor = self.constants.get(name)
        if tensor is None or int(np.prod(tensor.dims)) != 1:
            return None
        return float(self.array(name).reshape(()))

    def vector(self, name: str) -> bool:
        """Whether a value is a constant vector, whatever axes of 1 stand before its own."""
        tensor = self.constants.get(name)
        return tensor is not None and len(tensor.dims) >= 1 and int(np.prod(tensor.dims)) == tensor.dims[-1]

    def as_vector(self, name: str) -> str:
        """Return the name of a constant vector without the axes of 1 before its own."""
        tensor = self.constants[name]
        if len(tensor.dims) == 1:
            return name
        flat = f"{name}_vector"
        if flat not in self.constants:
            new = self.proto.initializer.add()
            new.CopyFrom(tensor)
            new.name = flat
            del new.dims[:-1]
            self.constants[flat] = new
        return flat

    def parts(self, node: Any, kind: str) -> list[tuple[Any, str]]:
        """Return (node of a kind that makes an input, the other input) of a node with two inputs."""
        pairs = [(node.input[k], node.input[1 - k]) for k in (0, 1)]
        return [(self.makers[a], b) for a, b in pairs if self.made_by(a, kind) is not None]

    def replace(self, new: dict[str, dict[str, Any]]) -> int:
        """Put other nodes in the places of nodes, and take away what nothing reads any more.

        Args:
            new: {first output of a node: arguments of onnx.helper.make_node for the one that makes it from now on}.

        Returns:
            The number of nodes that were replaced.
        """
        nodes = []
        for node in self.proto.node:
            options = new.get(node.output[0]) if node.output else None
            if options is not None:
                node = self._onnx.helper.make_node(outputs=[node.output[0]], name=node.name, **options)
            nodes.append(node)
        read = {output.name for output in self.proto.output}
        kept = []
        for node in reversed(nodes):
            if read & set(node.output):
                kept.append(node)
                read.update(node.input)
                read.update(_read_within(node))
        constants = [tensor for tensor in self.proto.initializer if tensor.name in read]
        del self.proto.node[:], self.proto.value_info[:]
        self.proto.node.extend(reversed(kept))
        if len(constants) < len(self.proto.initializer):
            del self.proto.initializer[:]
            self.proto.initializer.extend(constants)
        return len(new)


def _read_within(node: Any) -> Iterator[str]:
    """Yield what the inner graphs of a node (loops, branches) read, whether of the outer graph or their own."""
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from inner.input
            yield from _read_within(inner)
        yield from (output.name for output in attribute.g.output)


def name_dimensions(graph: Any, inputs: Sequence[Sequence[Any]], outputs: Sequence[Sequence[Any]]) -> None:
    """Give dimensions that vary the names "batch" and "length".

    Inputs whose names begin alike ("Encoder-", "Decoder-") share a length; where there are several lengths, each has
    the beginning in its name, and those of outputs have none.

    Args:
        graph: an onnx.GraphProto, changed in place.
        inputs: the shapes of its inputs, None where they vary.
        outputs: those of its outputs.
    """
    begins = [value.name.rpartition("Input-")[0] for value in graph.input]
    single = len(set(begins)) <= 1
    for begin, value, shape in zip(begins, graph.input, inputs, strict=True):
        length = "length" if single else f"{begin.strip('-').lower() or 'own'}_length"
        _name(value, shape, length)
    for value, shape in zip(graph.output, outputs, strict=True):
        _name(value, shape, "length" if single else None)


def call_dimensions(graph: Any, dims: dict[str, Sequence[int | str]]) -> None:
    """Say of values by their names which sizes they have, numbers and names of sizes that vary.

    Args:
        graph: an onnx.GraphProto, changed in place.
        dims: {name of an input or output: its sizes}.
    """
    for value in (*graph.input, *graph.output):
        shape = value.type.tensor_type.shape.dim
        del shape[:]
        for size in dims[value.name]:
            if isinstance(size, str):
                shape.add().dim_param = size
            else:
                shape.add().dim_value = size


def _name(value: Any, shape: Sequence[Any], length: str | None) -> None:
    dims = value.type.tensor_type.shape.dim
    del dims[:]
    for axis, size in enumerate(shape):
        dim = dims.add()
        if size is not None:
            dim.dim_value = size
        elif axis == 0:
            dim.dim_param = "batch"
        elif length is not None:
            dim.dim_param = length
