"""The bottleneck of an adapter."""

from __future__ import annotations

from typing import Any

import keras

from bert4keras2.layers.base import (
    Layer,
    activation_config,
    get_activation,
    register,
    resolve_activation,
)

__all__ = ["Adapter"]


@register
class Adapter(Layer):
    """x + up(f(down(x))) with few inner units (Houlsby et al., arXiv:1902.00751).

    The upper matrix starts at zero, so that nothing changes at first.

    Args:
        size: inner units.
        activation: the function f.
    """

    def __init__(self, size: int = 64, activation: Any = "gelu", **kwargs: Any):
        super().__init__(**kwargs)
        self.size, self.activation = size, resolve_activation(activation)

    def build(self, input_shape):
        width = input_shape[-1]
        start = keras.initializers.TruncatedNormal(stddev=0.01)
        activation = get_activation(self.activation)
        self.down_dense = self.dense("down_dense", self.size, width, activation=activation, kernel_initializer=start)
        self.up_dense = self.dense("up_dense", width, self.size, kernel_initializer="zeros")
        self.built = True

    def call(self, x):
        """Return (B, T, C) for x (B, T, C)."""
        return x + self.up_dense(self.down_dense(x))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "activation": activation_config(self.activation)}
