"""Gradients of several tasks at one length, so that none drowns the others (kexue.fm/archives/8896)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert4keras2.arguments import whole_number
from bert4keras2.training.gradients import dense, value_and_gradients
from bert4keras2.training.model import Model
from bert4keras2.training.step import LossFunction, LossTransform, TrainingStep
from bert4keras2.training.techniques import add_loss_transform, checked_model

__all__ = ["normalize_task_gradients"]


def normalize_task_gradients(model: Model, tasks: int, task_input: str = "Input-Task") -> None:
    """Let each task of a batch have a gradient of length 1: g = mean over tasks k of g(k) / |g(k)|.

    The rows of a batch are of several tasks; an input says which. g(k) is the gradient of the mean loss of task k by
    all trainable weights. What the scale of a task's loss is then does not matter, as in the multi-task training of
    RoFormerV2. A step costs one pass forward and backward for each task; the logs show the mean of the tasks' losses.
    All tasks share one optimizer, and so its moments.

    Args:
        model: a model of `bert4keras2.backend.keras`, before or after `compile`. A second call replaces the first.
        tasks: how many there are.
        task_input: name of the input (B,) or (B, 1) with the number of each row's task, from 0 on.

    Raises:
        TypeError: if the model is not of the library's class.
        ValueError: if there is no such input, or `tasks` is no whole number of at least 2.
    """
    checked_model(model)
    names = [tensor.name for tensor in keras.tree.flatten(getattr(model, "inputs", None) or [])]
    if task_input not in names:
        raise ValueError(f"{model.name} has no input {task_input!r} that says which task a row is of; it has {names}")
    add_loss_transform(model, TaskGradients(whole_number("tasks", tasks, 2), names.index(task_input), task_input))


class TaskGradients(LossTransform):
    """A loss whose gradient is the mean of the tasks' gradients, each of length 1."""

    kind = "task_gradients"

    def __init__(self, tasks: int, place: int, name: str):
        super().__init__()
        self.tasks, self.place, self.name = tasks, place, name

    def wrap(self, loss: LossFunction, step: TrainingStep) -> LossFunction:
        """Return the changed loss."""

        def balanced(values: list[Any]) -> tuple[Any, Any]:
            given = step.x[self.name] if isinstance(step.x, dict) else keras.tree.flatten(step.x)[self.place]
            of = ops.reshape(ops.cast(given, "int32"), (-1,))
            rows, own = ops.cast(ops.shape(of)[0], "float32"), step.sample_weight
            fixed = [ops.stop_gradient(value) for value in values]
            total, linear, present = 0.0, 0.0, 0.0
            aux: Any = None
            for task in range(self.tasks):
                here = ops.cast(ops.equal(of, task), "float32")
                count = ops.sum(here)
                weight = here * rows / ops.maximum(count, 1.0)
                step.sample_weight = weight if own is None else weight * ops.cast(ops.reshape(own, (-1,)), "float32")

                def scaled(moving: list[Any]) -> tuple[Any, Any]:
                    value, aux = loss(moving)
                    return value * ops.cast(step.scale, value.dtype), (value, aux)

                try:
                    _, (value, aux), gradients = value_and_gradients(scaled, fixed)
                finally:
                    step.sample_weight = own
                known = [(k, dense(gradient)) for k, gradient in enumerate(gradients) if gradient is not None]
                length = ops.sqrt(sum(ops.sum(ops.square(gradient)) for _, gradient in known))
                share = ops.where(length > 0, 1 / ops.where(length > 0, length, 1.0), 0.0)
                for k, gradient in known:
                    # A product whose gradient by the value is the task's, at length 1.
                    product = ops.sum(ops.cast(values[k], "float32") * ops.stop_gradient(gradient * share))
                    linear = linear + product
                there = ops.cast(count > 0, "float32")
                total, present = total + ops.stop_gradient(value) * there, present + there
            linear = linear / ops.maximum(present, 1.0)
            value = total / ops.maximum(present, 1.0)
            # The value is that of the losses, the gradient that of the products.
            return value + (linear - ops.stop_gradient(linear)), aux

        return balanced
