"""Graphs of functional models of Keras; keras_private.py lists the private names for it, and is how others reach it."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras

__all__ = [
    "Call",
    "call_of",
    "calls_in_order",
    "calls_of",
    "connect_inputs",
    "graph_of",
    "input_structure",
    "is_made_by_layer",
    "maker",
    "output_structure",
]


class Call(NamedTuple):
    """One call of a layer in a functional graph."""

    layer: Any
    inputs: list[Any]  # symbolic tensors
    outputs: list[Any]  # symbolic tensors
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    before: list[Any]  # layers that made the inputs


def _call(layer: Any, node: Any) -> Call:
    arguments = node.arguments
    before = [parent.operation for parent in node.parent_nodes]
    return Call(layer, node.input_tensors, node.output_tensors, arguments.args, arguments.kwargs, before)


def is_made_by_layer(tensor: Any) -> bool:
    """Whether a tensor is a symbolic one that knows the layer that made it."""
    return isinstance(tensor, keras.KerasTensor) and getattr(tensor, "_keras_history", None) is not None


def maker(tensor: Any) -> Any:
    """Return the layer (or operation) that made a symbolic tensor."""
    return tensor._keras_history.operation


def call_of(tensor: Any) -> Call | None:
    """Return the call that made a symbolic tensor, None for a tensor without a history."""
    history = getattr(tensor, "_keras_history", None)
    if history is None:
        return None
    return _call(history.operation, history.operation._inbound_nodes[history.node_index])


def calls_of(layer: Any, model: Any = None) -> list[Call]:
    """Return a layer's calls in functional graphs, the oldest first.

    Args:
        layer: which may have been called in several models.
        model: a functional model whose calls alone count; all if None.
    """
    nodes = layer._inbound_nodes
    if model is not None:
        own = {id(node) for level in model._nodes_by_depth.values() for node in level}
        nodes = [node for node in nodes if id(node) in own]
    return [_call(layer, node) for node in nodes]


def graph_of(model: Any) -> Any:
    """Return an object that is another one when a functional model gets another graph; None if it is no such model."""
    return getattr(model, "_nodes_by_depth", None)


def calls_in_order(model: Any) -> list[Call]:
    """Return the calls of a functional model in the order in which Keras makes them."""
    levels = sorted(model._nodes_by_depth.items(), reverse=True)
    nodes = [node for _, level in levels for node in level if node.operation and not node.is_input]
    return [_call(node.operation, node) for node in nodes]


def input_structure(model: Any) -> Any:
    """Return a functional model's symbolic inputs as it is called with them: one tensor, a list or a dict."""
    return getattr(model, "_inputs_struct", model.inputs)


def output_structure(model: Any) -> Any:
    """Return a functional model's symbolic outputs as it returns them: one tensor, a list or a dict."""
    return model._outputs_struct


def connect_inputs(inputs: Any) -> None:
    """Let Keras before 3.14 take models with inputs that no output needs (labels that a loss reads, spare ones).

    It refuses an input that nothing was computed of; whether that leads to an output it does not ask.

    Args:
        inputs: symbolic tensors of a model to be built, nested.
    """
    if tuple(map(int, keras.__version__.split(".")[:2])) >= (3, 14):
        return
    for tensor in keras.tree.flatten(inputs):
        if isinstance(tensor, keras.KerasTensor) and not maker(tensor)._outbound_nodes:
            keras.ops.stop_gradient(tensor)
