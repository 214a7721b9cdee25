"""A layer that heads of tasks need beside those of the library."""

from __future__ import annotations

from typing import Any

from keras import ops

from bert4keras2.functional.functions import align
from bert4keras2.layers.base import Layer, register

__all__ = ["RealPositions"]


@register
class RealPositions(Layer):
    """Scores of positions, very low where there is padding; the mask ends here.

    What comes after it chooses among positions, and a loss over whole rows has no use for a mask of positions.
    """

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Return (B, T, C) scores, -1e30 where the (B, T) mask is false."""
        if mask is None:
            return inputs
        return ops.where(align(ops.cast(mask, "bool"), [0, 1], 3), inputs, ops.cast(-1e30, inputs.dtype))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        return None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape
