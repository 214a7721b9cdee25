"""What the package's layers share."""

from __future__ import annotations

from inspect import isfunction
from typing import Any

import keras

from bert4keras2.functional.activations import get_activation, resolve_activation
from bert4keras2.functional.graph import NodeMethods
from bert4keras2.functional.initializers import serialize_initializer
from bert4keras2.functional.registry import register
from bert4keras2.layers.direct import DirectCalls, InnerDense

__all__ = ["Layer", "activation_config", "get_activation", "register", "resolve_activation", "serialize_initializer"]


class Layer(DirectCalls, NodeMethods, keras.layers.Layer):
    """A Keras layer that passes its input's mask on and builds its child layers in `build`."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Layer:
        """Return the layer of a configuration.

        Where a string of it is the name of one of Keras' functions, as "add" is, the reader of HDF5 files has put the
        function in its place.
        """
        return super().from_config({key: _name_again(value) for key, value in config.items()})

    def dense(self, name: str, units: int, input_dim: int, **kwargs: Any) -> keras.layers.Dense:
        """Create and build a Dense child called `name` for inputs of width `input_dim`."""
        child = InnerDense(units, name=name, dtype=self.dtype_policy, **kwargs)
        child.build((None, input_dim))
        return child


# The package in which Keras defines its layers, and the functions that make some of them.
KERAS_LAYERS = keras.layers.Layer.__module__.rpartition(".")[0]


def _name_again(value: Any) -> Any:
    """Return the name of a function that makes one of Keras' layers, anything else as it is."""
    return value.__name__ if isfunction(value) and value.__module__.startswith(KERAS_LAYERS) else value


def activation_config(activation: Any) -> Any:
    """Return what a layer's config keeps of an activation: its name, or Keras' description of a function."""
    return keras.activations.serialize(activation) if callable(activation) else activation
