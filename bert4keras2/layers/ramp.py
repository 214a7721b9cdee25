"""A branch that grows from nothing to its full size while a model trains."""

from __future__ import annotations

from typing import Any

from keras import ops

from bert4keras2.layers.base import Layer, register

__all__ = ["ResidualRamp"]


@register
class ResidualRamp(Layer):
    """Multiply by a factor that rises linearly from 0 to 1 with the steps of training (kexue.fm/archives/8998).

    Before a residual sum, x + a * F(x): an untrained model is then the sequence of its normalizations, and the signal
    of the first steps goes through the residual path alone, so a deep post-norm model needs no warm-up.

    Args:
        steps: calls in training until the factor is 1. Each pass forward counts: two in a step of R-Drop.
    """

    stored_by_path = True

    def __init__(self, steps: int, **kwargs: Any):
        super().__init__(**kwargs)
        if steps < 1:
            raise ValueError(f"steps is the number of training steps until the branch has its full size, not {steps}")
        self.steps = steps

    def build(self, input_shape):
        self.step = self.add_weight(name="step", shape=(), initializer="zeros", dtype="float32", trainable=False)
        self.built = True

    def call(self, x, training: bool | None = None):
        """Return x (B, ..., C) times the factor of the step."""
        factor = ops.minimum(ops.convert_to_tensor(self.step) / self.steps, 1.0)
        if training:
            self.step.assign(self.step + 1)
        return x * ops.cast(factor, x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "steps": self.steps}
