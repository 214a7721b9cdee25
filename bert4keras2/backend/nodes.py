"""What Keras 2's layers told of the places where they were called."""

from __future__ import annotations

from typing import Any

__all__ = ["NodeMethods"]


class NodeMethods:
    """Methods of a layer's calls in a functional graph, to be mixed into a keras Layer."""

    def get_output_at(self, node_index: int) -> Any:
        """Return the symbolic output of one of the layer's calls.

        Args:
            node_index: which call, from 0; -1 is the newest.

        Returns:
            A tensor, or a list of them.

        Raises:
            ValueError: if the layer has not been called so often in a functional graph.
        """
        return _one(_node(self, node_index).output_tensors)

    def get_input_at(self, node_index: int) -> Any:
        """Return the symbolic input of one of the layer's calls; arguments as for `get_output_at`."""
        return _one(_node(self, node_index).input_tensors)


def _node(layer: Any, index: int) -> Any:
    nodes = layer._inbound_nodes
    if not -len(nodes) <= index < len(nodes):
        raise ValueError(
            f"layer {layer.name!r} was called {len(nodes)} times in a functional graph: there is no call number {index}"
        )
    return nodes[index]


def _one(tensors: list[Any]) -> Any:
    return tensors[0] if len(tensors) == 1 else list(tensors)
