"""The position-wise feed-forward network, plain and gated."""

from __future__ import annotations

from typing import Any

import keras

from bert4keras2.layers.base import (
    activation_config,
    get_activation,
    register,
    resolve_activation,
    serialize_initializer,
)
from bert4keras2.layers.parts import Extensible

__all__ = ["FeedForward"]


@register
class FeedForward(Extensible):
    """Two projections around an activation; several activations give a gate (Shazeer, arXiv:2002.05202).

    Args:
        units: inner width.
        activation: one activation, or a list: the inner vector is then the product of all activated projections.
        use_bias: add biases.
        kernel_initializer: initializer of all kernels.
    """

    direct_call = True

    def __init__(
        self,
        units: int,
        activation: Any = "relu",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.units, self.use_bias = units, use_bias
        gates = activation if isinstance(activation, list | tuple) else [activation]
        self.activation = [resolve_activation(gate) for gate in gates]
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        width = input_shape[-1]
        options = {"use_bias": self.use_bias, "kernel_initializer": self.kernel_initializer}
        self._inner = [f"i{k}_dense" for k in range(len(self.activation))]
        for name, activation in zip(self._inner, self.activation, strict=True):
            setattr(self, name, self.dense(name, self.units, width, activation=get_activation(activation), **options))
        self.o_dense = self.dense("o_dense", width, self.units, **options)
        self.build_parts()
        self.built = True

    def part_shape(self, kind: str) -> tuple[dict[str, Any], Any]:
        """Return what a part has to know of the layer."""
        if kind != "adapter":
            raise ValueError(f"{self.name} attends to nothing: a {kind} goes into attention layers")
        return {}, (None, None, self.o_dense.units)

    def call(self, inputs):
        """Return (B, T, C) for inputs (B, T, C)."""
        x = getattr(self, self._inner[0])(inputs)
        for name in self._inner[1:]:
            x = x * getattr(self, name)(inputs)
        x = self.o_dense(x)
        return x if self.adapter is None else self.adapter(x)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict[str, Any]:
        gates = [activation_config(gate) for gate in self.activation]
        return {
            **super().get_config(),
            "units": self.units,
            "activation": gates[0] if len(gates) == 1 else gates,
            "use_bias": self.use_bias,
            "kernel_initializer": serialize_initializer(self.kernel_initializer),
        }
