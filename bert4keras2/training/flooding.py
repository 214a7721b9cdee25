"""Flooding: a loss that does not fall below a level (Ishida et al., arXiv:2002.08709)."""

from __future__ import annotations

from typing import Any

from keras import ops

from bert4keras2.arguments import positive
from bert4keras2.training.model import Model
from bert4keras2.training.step import LossFunction, LossTransform, TrainingStep
from bert4keras2.training.techniques import add_loss_transform

__all__ = ["flooding"]


def flooding(model: Model, level: float) -> None:
    """Minimise |loss - level| + level: below the level, steps go up, so that the loss floats around it.

    Args:
        model: a model of `bert4keras2.backend.keras`, before or after `compile`. A second call replaces the level.
        level: what a batch's mean loss is kept at; above what a network that memorises its data would reach.

    Raises:
        TypeError: if the model is not of the library's class.
        ValueError: if the level is no number above 0.
    """
    add_loss_transform(model, Flooding(positive("level", level)))


class Flooding(LossTransform):
    """The loss mirrored at a level."""

    kind = "flooding"

    def __init__(self, level: float):
        super().__init__()
        self.level = level

    def wrap(self, loss: LossFunction, step: TrainingStep) -> LossFunction:
        """Return the changed loss."""

        def flooded(values: list[Any]) -> tuple[Any, Any]:
            value, aux = loss(values)
            return ops.abs(value - self.level) + self.level, aux

        return flooded
