"""PGD and FreeLB: embeddings that are moved by several small steps to where the loss is larger."""

from __future__ import annotations

from typing import Any

from keras import ops

from bert4keras2.arguments import positive, whole_number
from bert4keras2.training.model import Model
from bert4keras2.training.step import LossFunction, LossTransform, TrainingStep
from bert4keras2.training.techniques import add_loss_transform, checked_model
from bert4keras2.training.transforms import length_of, moved, unit
from bert4keras2.training.variables import find_embedding

__all__ = ["free_lb", "pgd"]


def pgd(model: Model, embedding_name: str, epsilon: float = 1.0, alpha: float = 0.3, steps: int = 3) -> None:
    """Train at embeddings that several steps of projected gradient ascent have moved (PGD, arXiv:1706.06083).

    From r = 0, each of `steps` moves the whole matrix E + r by alpha * g / |g| along the gradient g of the loss, and
    cuts r back to the length epsilon. The gradients that the optimizer gets are those at E + r. One step costs
    `steps` more passes forward and backward; `adversarial_training` is its first step alone.

    Args:
        model: a model of `bert4keras2.backend.keras`, before or after `compile`. Compiling again keeps the transform;
            saved files do not hold it. A second call with the same name replaces the first.
        embedding_name: the name of a layer, such as "Embedding-Token", or a pattern that is searched for in the names
            of layers and the paths of variables.
        epsilon: the largest L2 norm of the move.
        alpha: the L2 norm of each step.
        steps: how many there are.

    Raises:
        TypeError: if the model is not of the library's class.
        ValueError: if the name means no variable, or several, or a number is out of range.
    """
    _ascend(model, embedding_name, epsilon, alpha, steps, average=False)


def free_lb(model: Model, embedding_name: str, epsilon: float = 1.0, alpha: float = 0.3, steps: int = 3) -> None:
    """Train on the mean loss at all embeddings on the way of an ascent (FreeLB, arXiv:1909.11764).

    The moves are those of `pgd`, from r = 0; the loss is the mean of those at E + r for each r but the last. As the
    relatives in this package do, it moves the matrix of embeddings, not the vectors of each text.

    Args:
        model, embedding_name, epsilon, alpha, steps: as for `pgd`.

    Raises:
        TypeError: if the model is not of the library's class.
        ValueError: if the name means no variable, or several, or a number is out of range.
    """
    _ascend(model, embedding_name, epsilon, alpha, steps, average=True)


def _ascend(model: Any, name: str, epsilon: Any, alpha: Any, steps: Any, average: bool) -> None:
    checked_model(model)
    numbers = positive("epsilon", epsilon), positive("alpha", alpha), whole_number("steps", steps, 1)
    add_loss_transform(model, Ascent(find_embedding(model, name)[1], *numbers, average))


class Ascent(LossTransform):
    """The loss at the end of an ascent, or the mean loss on its way."""

    kind = "ascent"

    def __init__(self, variable: Any, epsilon: float, alpha: float, steps: int, average: bool):
        super().__init__(variable)
        self.epsilon, self.alpha, self.steps, self.average = epsilon, alpha, steps, average

    def wrap(self, loss: LossFunction, step: TrainingStep) -> LossFunction:
        """Return the changed loss."""
        index = step.index(self.variable)

        def ascended(values: list[Any]) -> tuple[Any, Any]:
            fixed = [ops.stop_gradient(value) for value in values]
            move = ops.zeros(self.variable.shape, dtype="float32")
            total: Any = 0.0
            for number in range(self.steps):
                if self.average:
                    value, aux = loss(moved(values, index, move))
                    total = total + value / self.steps
                    if number == self.steps - 1:
                        return total, aux
                gradient = step.gradient(loss, moved(fixed, index, move), index)[2] / step.scale
                # What overflowed, as happens while a loss scale is being found, moves nothing.
                move = self._within(move + unit(ops.where(ops.isfinite(gradient), gradient, 0.0)) * self.alpha)
            return loss(moved(values, index, move))

        return ascended

    def _within(self, move: Any) -> Any:
        """Return a move that is no longer than epsilon."""
        return move * ops.minimum(1.0, self.epsilon / ops.maximum(length_of(move), 1e-12))
