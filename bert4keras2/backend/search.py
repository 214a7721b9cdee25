"""Finding layers by walking back through a graph, and devices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

__all__ = ["get_available_gpus", "search_layer"]


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
        elif isinstance(item, keras.KerasTensor) and getattr(item, "_keras_history", None) is not None:
            pending.append(item._keras_history.operation)
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
        for node in layer._inbound_nodes:
            pending.extend(parent.operation for parent in node.parent_nodes)
    return None


def get_available_gpus() -> list[str]:
    """Return the names of the GPUs that the backend sees, such as ["gpu:0"]; an empty list without one."""
    if keras.backend.backend() == "torch":
        import torch

        return [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    try:
        return [str(name) for name in keras.distribution.list_devices("gpu")]
    except RuntimeError:  # JAX's answer where there is none
        return []
