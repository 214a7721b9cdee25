"""Steps on unlabelled batches between the labelled steps of a model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bert4keras2.functional import keras_private
from bert4keras2.training.model import Model
from bert4keras2.training.step import LossFunction, LossTransform, TrainingStep

__all__ = ["UnlabelledSteps"]


class UnlabelledSteps(LossTransform):
    """After each labelled step, one step of a transform without labels, on a model of the same layers.

    Args:
        model: the model, with a functional graph.
        transform: what the steps minimise.
        batches: unlabelled batches.
        optimizer: of these steps; one like the model's if None.
    """

    follows = True

    def __init__(self, model: Model, transform: LossTransform, batches: Any, optimizer: Any = None):
        if not getattr(model, "inputs", None):
            raise ValueError(f"Steps on unlabelled batches need a functional model, made of inputs, not {model.name}")
        if not hasattr(batches, "__iter__"):
            raise TypeError(f"unlabelled is something to iterate over, not {type(batches).__name__}")
        super().__init__(transform.variable)
        self.kind, self._transform = transform.kind, transform
        self._model, self._batches, self._optimizer = model, batches, optimizer
        self._stream: Iterator[Any] | None = None
        self._companion: Any = None

    def wrap(self, loss: LossFunction, step: TrainingStep) -> LossFunction:
        """Return the labelled loss as it is."""
        return loss

    def after_step(self) -> dict[str, float]:
        """Train on the next batch and return its loss."""
        if self._companion is None:
            self._companion = self._compiled()
        return {"unlabelled_loss": float(self._companion.train_on_batch(self._next()))}

    def _compiled(self) -> Model:
        """Return a model of the same layers that learns from unlabelled batches."""
        model = self._model
        inputs = keras_private.input_structure(model)
        companion = Model(inputs, model.outputs, name=f"{model.name}_unlabelled")
        optimizer = self._optimizer
        if optimizer is None:
            optimizer = model.optimizer
            optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # compile adds the loss scale
            optimizer = type(optimizer).from_config(optimizer.get_config())
        companion.compile(optimizer, run_eagerly=model.run_eagerly, jit_compile=model.jit_compile)
        companion.loss_transforms = [self._transform]
        return companion

    def _next(self) -> Any:
        for _ in range(2):
            if self._stream is None:
                self._stream = iter(self._batches)
            for batch in self._stream:
                return batch[0] if isinstance(batch, tuple) else batch
            self._stream = None
        raise ValueError(
            "The unlabelled batches are used up: give a generator without end, or something that can be iterated over"
            " again, such as a list or a DataGenerator"
        )
