"""A model that only computes, beside one that learns."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert4keras2.functional.no_gradient import no_gradient
from bert4keras2.layers.base import Layer, register
from bert4keras2.layers.masks import padding_mask

__all__ = ["FrozenEncoder", "Gate"]


@register
class FrozenEncoder(Layer):
    """An encoder's hidden states, through which no gradient goes: nothing is kept for one, and nothing is dropped.

    Args:
        encoder: a functional model of token ids (and more) that returns hidden states (B, T, C), or its configuration.
        pad_id: the token id that is padding.
    """

    def __init__(self, encoder: Any, pad_id: int = 0, **kwargs: Any):
        kwargs["trainable"] = False
        super().__init__(**kwargs)
        self.encoder = keras.saving.deserialize_keras_object(encoder) if isinstance(encoder, dict) else encoder
        self.pad_id = pad_id
        self.encoder.trainable = False

    def build(self, input_shape=None):
        # One by one: layers of a loaded model may have made theirs after it was frozen.
        for variable in self.encoder.variables:
            variable.trainable = False
        self.built = True

    def call(self, inputs):
        """Return the hidden states, each (B, T, C), of the encoder's inputs."""
        with no_gradient():
            states = self.encoder(inputs, training=False)
        return [ops.stop_gradient(state) for state in keras.tree.flatten(states)]

    def compute_mask(self, inputs, previous_mask=None):
        mask = padding_mask(keras.tree.flatten(inputs)[0], self.pad_id)
        return [mask for _ in self.encoder.outputs]

    def compute_output_spec(self, inputs, **kwargs):
        tokens = keras.tree.flatten(inputs)[0]
        return [keras.KerasTensor((*tokens.shape[:2], x.shape[-1]), dtype=x.dtype) for x in self.encoder.outputs]

    def get_config(self) -> dict[str, Any]:
        encoder = keras.saving.serialize_keras_object(self.encoder)
        return {**super().get_config(), "encoder": encoder, "pad_id": self.pad_id}


@register
class Gate(Layer):
    """m x + (1 - m) y of two tensors, with m = sigmoid(a / temperature) of one weight a that starts at 0.

    Args:
        temperature: the smaller, the more a step of the weight changes.
    """

    def __init__(self, temperature: float = 0.1, **kwargs: Any):
        super().__init__(**kwargs)
        self.temperature = temperature

    def build(self, input_shape=None):
        self.alpha = self.add_weight(name="alpha", shape=(), initializer="zeros")
        self.built = True

    def call(self, inputs):
        """Return (B, T, C) of two tensors (B, T, C)."""
        x, y = inputs
        share = ops.cast(ops.sigmoid(ops.cast(self.alpha, "float32") / self.temperature), x.dtype)
        return share * x + (1 - share) * y

    def compute_mask(self, inputs, previous_mask=None):
        return previous_mask[0] if isinstance(previous_mask, list | tuple) else previous_mask

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": self.temperature}
