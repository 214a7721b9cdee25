"""Matryoshka: vectors whose first numbers are vectors too (arXiv:2205.13147)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from bert4keras2.arguments import positive, whole_number
from bert4keras2.functional.registry import register
from bert4keras2.training.sentences.groups import GroupLoss

__all__ = ["matryoshka"]


def matryoshka(
    loss: keras.losses.Loss, widths: Sequence[int], weights: Sequence[float] | None = None
) -> keras.losses.Loss:
    """Return a loss that holds for the first numbers of vectors too: sum over widths w of weight * loss(x[:, :w]).

    Vectors may then be cut to one of the widths (and scaled to length 1 again) and lose little.

    Args:
        loss: one of this package, such as `cosent()`.
        widths: how many numbers; the whole width is one of them if it is to count.
        weights: of the widths, 1 each if None.

    Returns:
        A loss of the same vectors and labels.

    Raises:
        ValueError: if there are no widths, or not as many weights.
    """
    return Matryoshka(loss, widths, weights)


@register
class Matryoshka(GroupLoss):
    """See `matryoshka`."""

    def __init__(self, loss: Any, widths: Any, weights: Any = None, name: str = "matryoshka", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.loss = keras.saving.deserialize_keras_object(loss) if isinstance(loss, dict) else loss
        self.widths = [whole_number("widths", width, 1) for width in widths]
        self.weights = [1.0] * len(self.widths) if weights is None else [positive("weights", one) for one in weights]
        if not self.widths or len(self.weights) != len(self.widths):
            raise ValueError(f"{len(self.widths)} widths need as many weights, not {len(self.weights)}; at least one")
        self.size = getattr(self.loss, "size", 1)

    def group_problem(self, labels: np.ndarray) -> str | None:
        return self.loss.group_problem(labels) if hasattr(self.loss, "group_problem") else None

    def call(self, y_true, y_pred):
        """Return a scalar for vectors (B, D)."""
        width = y_pred.shape[-1]
        if max(self.widths) > width:
            raise ValueError(f"widths go up to {max(self.widths)}, but the vectors have {width} numbers")
        parts = zip(self.widths, self.weights, strict=True)
        return sum(weight * ops.mean(self.loss.call(y_true, y_pred[:, :width])) for width, weight in parts)

    def get_config(self) -> dict[str, Any]:
        loss = keras.saving.serialize_keras_object(self.loss)
        return {**super().get_config(), "loss": loss, "widths": self.widths, "weights": self.weights}
