"""One of two branches by chance while training."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert4keras2.layers.base import Layer, register

__all__ = ["Replacement"]


@register
class Replacement(Layer):
    """Of two tensors the first, or while training by chance the second: one draw for a batch (arXiv:2002.02925).

    Args:
        rate: how often the first is taken.
        steps: after so many training steps it always is; the rate rises to that in a line. It stays if None.
        seed: of the draws.
    """

    def __init__(self, rate: float = 0.5, steps: int | None = None, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate, self.steps, self.seed = rate, steps, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape=None):
        # Not a whole number: PyTorch's variables on a GPU would be on the CPU otherwise.
        self.count = self.add_weight(name="count", shape=(), initializer="zeros", trainable=False, dtype="float32")
        self.built = True

    def call(self, inputs, training: bool | None = None):
        """Return (B, T, C) of two tensors (B, T, C)."""
        successor, predecessor = inputs
        if not training:
            return successor
        rate = self.rate
        if self.steps is not None:
            count = ops.convert_to_tensor(self.count)
            rate = ops.minimum(1.0, rate + (1 - rate) * count / self.steps)
            self.count.assign(count + 1)
        taken = keras.random.uniform((), seed=self.seed_generator, dtype="float32") < rate
        return ops.where(taken, successor, predecessor)

    def compute_mask(self, inputs, previous_mask=None):
        return previous_mask[0] if isinstance(previous_mask, list | tuple) else previous_mask

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "steps": self.steps, "seed": self.seed}
