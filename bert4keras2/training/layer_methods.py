"""Methods of layers as losses and metrics that a saved model can name and find again."""

from __future__ import annotations

import types
from typing import Any

import keras

from bert4keras2.functional import keras_private
from bert4keras2.functional.registry import register

__all__ = ["LayerMethod", "bind_methods", "name_methods", "replaced_leaves"]


@register
class LayerMethod:
    """A method of a layer, such as `crf.sparse_loss`: a file keeps the names of both, a loaded model finds them.

    Args:
        layer_name: the name of the layer.
        method_name: the name of its method.
        layer: the layer, None until `bind_methods` finds it in a model.
    """

    def __init__(self, layer_name: str, method_name: str, layer: Any = None):
        self.layer_name, self.method_name, self.layer = layer_name, method_name, layer
        self.__name__ = method_name  # what Keras calls the metric

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the method returns.

        Raises:
            ValueError: if no model with the layer has been found.
        """
        if self.layer is None:
            raise ValueError(
                f"{self.layer_name}.{self.method_name} belongs to a layer {self.layer_name!r} which the loaded model "
                f"does not have: compile it anew, as in model.compile(loss=layer.{self.method_name})"
            )
        return getattr(self.layer, self.method_name)(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Return the names of the layer and of the method."""
        return {"layer_name": self.layer_name, "method_name": self.method_name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LayerMethod:
        """Return the method of a configuration, without its layer."""
        return cls(**config)


def replaced_leaves(value: Any, replace: Any) -> Any:
    """Return the nested lists, tuples and dicts with `replace(leaf)` for their leaves."""
    if isinstance(value, dict):
        return {key: replaced_leaves(item, replace) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(replaced_leaves(item, replace) for item in value)
    return replace(value)


def name_methods(model: Any, value: Any) -> Any:
    """Return arguments of `compile` with a `LayerMethod` for each bound method of a layer of the model."""
    layers: list[Any] = []

    def replace(item: Any) -> Any:
        owner = getattr(item, "__self__", None)
        if not isinstance(item, types.MethodType) or not isinstance(owner, keras.layers.Layer):
            return item
        layers.extend(() if layers else keras_private.inner_layers(model))
        if not any(owner is layer for layer in layers):
            return item
        return LayerMethod(owner.name, item.__name__, owner)

    return replaced_leaves(value, replace)


def bind_methods(model: Any, value: Any) -> Any:
    """Return arguments of `compile` whose `LayerMethod`s have found their layers in the model."""

    def replace(item: Any) -> Any:
        if isinstance(item, LayerMethod):
            item.layer = next(
                (layer for layer in keras_private.inner_layers(model) if layer.name == item.layer_name), None
            )
        return item

    return replaced_leaves(value, replace)
