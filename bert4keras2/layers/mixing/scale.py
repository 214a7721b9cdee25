"""A learnt scale of a branch for each channel."""

from __future__ import annotations

from typing import Any

import keras

from bert4keras2.layers.base import Layer, register

__all__ = ["LayerScale"]


@register
class LayerScale(Layer):
    """Multiply each channel by a learnt number that starts small (Touvron et al., arXiv:2103.17239).

    Args:
        initial: first value; deep models take a smaller one, such as 1e-4.
    """

    stored_by_path = True

    def __init__(self, initial: float = 1e-4, **kwargs: Any):
        super().__init__(**kwargs)
        self.initial = initial

    def build(self, input_shape):
        initial = keras.initializers.Constant(self.initial)
        self.gamma = self.add_weight(name="gamma", shape=(input_shape[-1],), initializer=initial)
        self.built = True

    def call(self, x):
        """Return x (B, ..., C) times the scale."""
        return x * keras.ops.cast(self.gamma, x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "initial": self.initial}
