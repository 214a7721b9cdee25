"""Small layers of earlier releases."""

from __future__ import annotations

from typing import Any

from keras import ops

from bert4keras2.layers.base import Layer, register

__all__ = ["BiasAdd", "Scale", "ZeroMasking"]


@register
class BiasAdd(Layer):
    """Add a learnt vector to the last axis (releases 0.7.3 to 0.10.9; today `ScaleOffset(scale=False)`)."""

    def build(self, input_shape):
        self.bias = self.add_weight(name="bias", shape=(input_shape[-1],), initializer="zeros")
        self.built = True

    def call(self, inputs):
        """Return inputs (..., C) plus the vector."""
        return inputs + self.bias


@register
class Scale(Layer):
    """Multiply by a number (release 0.10.8; today `ScaleOffset(scale=number, offset=False)`).

    Args:
        scale: the number.
    """

    def __init__(self, scale: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs):
        """Return inputs times the number."""
        return inputs * self.scale

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}


@register
class ZeroMasking(Layer):
    """Mask the positions whose number is not above zero (releases up to 0.5.4, for `attention_mask` of ids)."""

    def call(self, inputs):
        """Return the inputs as they are."""
        return inputs

    def compute_mask(self, inputs, mask=None):
        """Return which numbers are above zero."""
        return ops.greater(inputs, 0)
