"""The graph of a functional model: finding layers in it, and the calls of a layer, as Keras 2's layers told of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

from bert4keras2.functional import keras_private

__all__ = ["NodeMethods", "search_layer"]


def search_layer(inputs: Any, name: str, exclude_from: Iterable[Any] | None = None) -> Any:
    """Return the layer of a name that a symbolic tensor was computed with, or None.

    Args:
        inputs: a symbolic tensor or a list of them, such as `model.output`; or a layer.
        name: the layer's name; layers inside of models that were called on the way are found too.
        exclude_from: layers (or their names) not to walk through; a set is extended by the layers that were visited.

    Raises:
        TypeError: if `inputs` is not symbolic, as inside of a running layer.
    """
    seen = exclude_from if isinstance(exclude_from, set) else set(exclude_from or ())
    pending: list[Any] = []
    for item in keras.tree.flatten(inputs):
        if isinstance(item, keras.layers.Layer):
            pending.append(item)
        elif keras_private.is_made_by_layer(item):
            pending.append(keras_private.maker(item))
        else:
            raise TypeError(
                f"search_layer() walks back from a symbolic tensor of a functional graph, not from"
                f" {type(item).__name__}: start at model.output or at what build_transformer_model returns"
            )
    while pending:
        layer = pending.pop()
        if layer in seen or layer.name in seen:
            continue
        if layer.name == name:
            return layer
        seen.add(layer)
        if isinstance(layer, keras.Model):
            pending.extend(layer.layers)
        pending.extend(before for call in keras_private.calls_of(layer) for before in call.before)
    return None


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
        return _one(_numbered(self, node_index).outputs)

    def get_input_at(self, node_index: int) -> Any:
        """Return the symbolic input of one of the layer's calls; arguments as for `get_output_at`."""
        return _one(_numbered(self, node_index).inputs)


def _numbered(layer: Any, index: int) -> keras_private.Call:
    calls = keras_private.calls_of(layer)
    if not -len(calls) <= index < len(calls):
        raise ValueError(
            f"layer {layer.name!r} was called {len(calls)} times in a functional graph: there is no call number {index}"
        )
    return calls[index]


def _one(tensors: list[Any]) -> Any:
    return tensors[0] if len(tensors) == 1 else list(tensors)
