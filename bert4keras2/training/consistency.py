"""R-Drop: two passes that drop different units are to predict alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bert4keras2.arguments import positive
from bert4keras2.training.model import Model
from bert4keras2.training.step import LossFunction, LossTransform, TrainingStep
from bert4keras2.training.techniques import add_loss_transform, checked_model, checked_output
from bert4keras2.training.transforms import add_finite, log_probabilities, mean_divergence
from bert4keras2.training.unlabelled import UnlabelledSteps

__all__ = ["r_drop"]


def r_drop(
    model: Model,
    alpha: float = 4.0,
    unlabelled: Any = None,
    optimizer: Any = None,
    from_logits: bool = False,
    output: int | None = None,
    where: Callable[[Any], Any] | None = None,
) -> None:
    """Let two passes over a batch, which drop different units, predict alike (R-Drop, arXiv:2106.14448).

    With the losses L1 and L2 of both passes and their predictions p and q, steps minimise

        (L1 + L2) / 2 + alpha / 4 * mean(KL(p || q) + KL(q || p)),

    the convention of kexue.fm/archives/8496 as its author computes it (the paper's own is twice that). Each row is
    passed twice, so that no batch has to hold rows in pairs. Gradients go through both passes. Without dropout the
    second part is zero.

    With `unlabelled`, labelled steps stay as they are, and after each of them one step follows on the next unlabelled
    batch, which minimises mean(KL(p || q) + KL(q || p)) alone; `fit` reports it as "unlabelled_loss".

    Args:
        model: a model of `bert4keras2.backend.keras`, before or after `compile`. Compiling again keeps the transform;
            saved files do not hold it. A second call replaces the first.
        alpha: weight of the divergences; 4 for classification, 1 to 5 for writing.
        unlabelled: batches x, or tuples (x, ...) of which only x is used: a generator without end, or something that
            can be iterated over again and again, such as a DataGenerator.
        optimizer: of the steps on unlabelled batches; a new one with the configuration of the model's if None.
        from_logits: whether the model's outputs are logits rather than probabilities.
        output: which of the model's outputs has the predictions (B, ..., classes); needed if there are several.
        where: a function of the batch's inputs that returns which positions (B, ...) of the output count; by default
            those that its mask has. For models that write, these are the positions before each token of the target.

    Raises:
        TypeError: if the model is not of the library's class.
        ValueError: if `alpha` is no number above 0, or `output` is missing or wrong.
    """
    checked_model(model)
    transform = Consistency(positive("alpha", alpha), from_logits, checked_output(model, output), where)
    if unlabelled is not None:
        transform = UnlabelledSteps(model, transform, unlabelled, optimizer)
    add_loss_transform(model, transform)


class Consistency(LossTransform):
    """The mean loss of two passes, and how far their predictions are apart."""

    kind, needs_labels = "consistency", False

    def __init__(self, alpha: float, from_logits: bool, output: int, where: Callable[[Any], Any] | None = None):
        super().__init__()
        self.alpha, self.from_logits, self.output, self.where = alpha, from_logits, output, where

    def wrap(self, loss: LossFunction, step: TrainingStep) -> LossFunction:
        """Return the changed loss."""

        def consistent(values: list[Any]) -> tuple[Any, Any]:
            first, aux = loss(values)
            with step.going_on(aux):
                second, other = loss(values)
            p, mask = log_probabilities(aux[0], self.output, self.from_logits)
            q, _ = log_probabilities(other[0], self.output, self.from_logits)
            if self.where is not None:
                mask = self.where(step.x)
            apart = mean_divergence(p, q, mask) + mean_divergence(q, p, mask)
            weight = 1.0 if step.unlabelled else self.alpha / 4
            # What layers assigned to is that of the later pass, which began where the first one ended.
            return add_finite((first + second) / 2, weight * apart), (aux[0], other[1])

        return consistent
