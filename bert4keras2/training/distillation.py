"""Distillation: a student learns what a trained teacher says of its batches."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert4keras2.arguments import positive
from bert4keras2.training.model import Model
from bert4keras2.training.step import LossFunction, LossTransform, TrainingStep
from bert4keras2.training.techniques import add_loss_transform, checked_model, checked_output
from bert4keras2.training.transforms import add_finite, log_probabilities, masked_mean, mean_divergence

__all__ = ["distill"]

KINDS = ("kl", "mse")


def distill(
    student: Model,
    teacher: Any,
    alpha: float = 0.5,
    temperature: float = 2.0,
    loss: str = "kl",
    from_logits: bool = False,
    output: int | None = None,
    teacher_output: int | None = None,
) -> None:
    """Let a model learn what a teacher predicts for its batches, besides their labels (arXiv:1503.02531).

    With the loss L of the labels, the teacher's predictions p and the model's q, steps minimise

        (1 - alpha) * L + alpha * D,

    where D is temperature ** 2 * KL(p || q) of probabilities that are both softened by the temperature, for heads that
    tell classes ("kl"), or the mean squared difference of outputs, for any other ("mse"). Batches without labels, as
    `train_on_batch(x)` takes them, minimise alpha * D alone. The teacher is computed once for each step as in
    prediction, is not changed, and is not in the student's files.

    Args:
        student: a model of `bert4keras2.backend.keras`, before or after `compile`. Compiling again keeps the transform;
            saved files do not hold it. A second call replaces the first.
        teacher: a trained model that takes the same inputs, and whose classes have the same order.
        alpha: weight of the teacher, above 0 and up to 1.
        temperature: what the logarithms of the probabilities are divided by.
        loss: "kl" or "mse".
        from_logits: whether both models' outputs are logits rather than probabilities, for "kl".
        output: which of the student's outputs has the predictions; needed if there are several.
        teacher_output: which of the teacher's; needed if there are several.

    Raises:
        TypeError: if the student is not of the library's class, or the teacher is no model.
        ValueError: if the outputs differ in width, or an argument is out of range.
    """
    checked_model(student)
    if not isinstance(teacher, keras.Model):
        raise TypeError(f"teacher is a Keras model, not {type(teacher).__name__}; a task has one as .model")
    if teacher is student:
        raise ValueError("the teacher is the student itself: it would learn nothing")
    if loss not in KINDS:
        raise ValueError(f"loss is one of {', '.join(map(repr, KINDS))}, not {loss!r}")
    alpha = positive("alpha", alpha)
    if alpha > 1:
        raise ValueError(f"alpha is the teacher's share of the loss, up to 1, not {alpha}")
    places = checked_output(student, output), checked_output(teacher, teacher_output)
    widths = [_width(model, place) for model, place in zip((student, teacher), places, strict=True)]
    if None not in widths and widths[0] != widths[1]:
        raise ValueError(f"the student's output has {widths[0]} values, and the teacher's {widths[1]}")
    add_loss_transform(
        student, Distillation(teacher, alpha, positive("temperature", temperature), loss, from_logits, places)
    )


def _width(model: Any, place: int) -> int | None:
    outputs = keras.tree.flatten(getattr(model, "outputs", None) or [])
    return outputs[place].shape[-1] if outputs else None


class Distillation(LossTransform):
    """The loss of the labels, and how far predictions are from a teacher's."""

    kind, needs_labels = "distillation", False

    def __init__(
        self, teacher: Any, alpha: float, temperature: float, loss: str, from_logits: bool, places: tuple[int, int]
    ):
        super().__init__()
        self.teacher, self.alpha, self.temperature = teacher, alpha, temperature
        self.loss, self.from_logits, (self.place, self.teacher_place) = loss, from_logits, places

    @property
    def reads(self) -> list[Any]:
        """The teacher's variables."""
        return list(self.teacher.variables)

    def wrap(self, loss: LossFunction, step: TrainingStep) -> LossFunction:
        """Return the changed loss."""
        # Once for a step, however often the loss is computed.
        said = step.outputs_of(self.teacher)
        target, _ = self._softened(said, self.teacher_place)

        def distilled(values: list[Any]) -> tuple[Any, Any]:
            value, aux = loss(values)
            found, mask = self._softened(aux[0], self.place)
            if self.loss == "kl":
                apart = self.temperature**2 * mean_divergence(target, found, mask)
            else:
                apart = masked_mean(ops.mean(ops.square(target - found), axis=-1), mask)
            share = ops.cast(1 - self.alpha, value.dtype)
            return add_finite(value if step.unlabelled else share * value, self.alpha * apart), aux

        return distilled

    def _softened(self, outputs: Any, place: int) -> tuple[Any, Any]:
        """Return what is compared, and the output's mask."""
        found, mask = log_probabilities(outputs, place, self.from_logits)
        if self.loss == "kl":
            return ops.log_softmax(found / self.temperature, axis=-1), mask
        return ops.cast(keras.tree.flatten(outputs)[place], "float32"), mask
