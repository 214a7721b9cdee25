"""A training step whose loss is changed by transforms, such as adversarial training, on the three backends alike."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
from keras import ops

from bert4keras2.functional import keras_private
from bert4keras2.functional.no_gradient import no_gradient
from bert4keras2.functional.noted_scope import NotedScope
from bert4keras2.training.callbacks import add_callback
from bert4keras2.training.gradients import (
    dense,
    random_state,
    restore_random_state,
    twice_differentiable,
    value_and_gradients,
    value_of,
)

__all__ = ["LossTransform", "TrainingStep", "let_follow", "replaced", "train_with_transforms"]

# A function of the values of a step's variables that returns the loss and what else came out of the pass.
LossFunction = Callable[[list[Any]], tuple[Any, Any]]


class LossTransform:
    """Something that changes what a training step minimises; techniques are subclasses (docs/new_technique.md).

    Args:
        variable: the variable that it is about, None if it is about none.

    Attributes:
        kind: a name; of two transforms of one kind about one variable, a model has the newer one.
        higher_order: whether it needs second derivatives.
        needs_labels: whether there has to be another loss than its own.
        follows: whether `after_step` has something to do.
        reads: variables of other models that the loss is computed with; on JAX a step gets their values.
    """

    kind: str = ""
    higher_order = False
    needs_labels = True
    follows = False
    reads: Sequence[Any] = ()

    def __init__(self, variable: Any = None):
        self.variable = variable

    def wrap(self, loss: LossFunction, step: TrainingStep) -> LossFunction:
        """Return the changed loss as a function of the values of `step.variables`."""
        raise NotImplementedError

    def after_step(self) -> dict[str, float]:
        """Do what follows a training step; return numbers whose means `fit` reports."""
        return {}


class TrainingStep:
    """One batch's loss as a function of the values of a model's variables, which stay as they are meanwhile.

    Each pass through the model starts from the same state, so that all passes of a step drop the same units, but for
    those in the context `going_on`.

    Args:
        model: a compiled `bert4keras2.backend.Model`.
        data: what the model is fed with: x, (x, y) or (x, y, sample_weight).
        transforms: the transforms of the step.
        state_mapping: pairs (variable, value) for those variables whose values are elsewhere, as in a step on JAX.
    """

    def __init__(
        self, model: Any, data: Any, transforms: list[LossTransform], state_mapping: list[tuple[Any, Any]] = ()
    ):
        self.model, self.transforms, self._state_mapping = model, transforms, list(state_mapping)
        self.x, self.y, self.sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        self._random = random_state()
        self._higher_order = any(transform.higher_order for transform in transforms)
        trainable = {id(variable) for variable in model.trainable_variables}
        frozen = {
            id(transform.variable): transform.variable
            for transform in transforms
            if transform.variable is not None and id(transform.variable) not in trainable
        }
        self.variables = [*model.trainable_variables, *frozen.values()]
        self._assigned: list[Any] = []
        self._labels: list[tuple[Any, Callable[[Any], Any]]] = []
        self._start: list[tuple[Any, Any]] | None = None
        with keras.StatelessScope(self._state_mapping):
            self.scale = model.optimizer.scale_loss(ops.ones((), dtype="float32"))
            self.number = ops.convert_to_tensor(model.optimizer.iterations)
            self._frozen = [value_of(variable) for variable in frozen.values()]

    # -- passes ----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _passing(self, values: list[Any]) -> Iterator[NotedScope]:
        if self._start is None:
            restore_random_state(self._random)
        differentiable = twice_differentiable() if self._higher_order else contextlib.nullcontext()
        known = [*self._state_mapping, *(self._start or ()), *zip(self.variables, values, strict=True)]
        with differentiable, NotedScope(known) as scope:
            yield scope

    @contextlib.contextmanager
    def going_on(self, aux: Any) -> Iterator[None]:
        """A context in which passes begin where the last one ended, and so drop other units.

        Args:
            aux: what the last `loss` returned besides the loss.
        """
        before, self._start = self._start, list(zip(self._assigned, aux[1], strict=True))
        try:
            yield
        finally:
            self._start = before

    def _call(self) -> Any:
        return keras_private.call_in_training(self.model, self.x)

    def predict(self, values: list[Any]) -> Any:
        """Return the model's outputs for the batch, in training mode, at these values of `variables`."""
        with self._passing(values):
            return self._call()

    def loss(self, values: list[Any]) -> tuple[Any, Any]:
        """Return the loss that the model was compiled with, and (outputs, values assigned during the pass)."""
        with self._passing(values) as scope:
            outputs = self._call()
            if self.unlabelled and not self.model.losses:
                loss = ops.zeros((), dtype="float32")
            elif self.unlabelled:
                loss = sum(ops.cast(ops.mean(part), "float32") for part in self.model.losses)
            else:
                loss = self._labelled(outputs)
            self._assigned = list(scope.assigned.values())
            assigned = [scope.get_current_value(variable) for variable in self._assigned]
        return loss, (outputs, assigned)

    def _labelled(self, outputs: Any) -> Any:
        """Return the loss of outputs by the batch's labels, or by those that `with_batch` has put in."""
        parts = []
        for share, change in self._labels or [(None, None)]:
            y, weight = self.y, self.sample_weight
            if change is not None:
                y, weight = (None if part is None else keras.tree.map_structure(change, part) for part in (y, weight))
            loss = keras_private.loss_of(self.model, self.x, y, outputs, weight)
            parts.append(loss if share is None else loss * ops.cast(share, loss.dtype))
        return sum(parts[1:], parts[0])

    @contextlib.contextmanager
    def with_batch(self, x: Any, labels: list[tuple[Any, Callable[[Any], Any]]]) -> Iterator[None]:
        """A context in which the model gets other inputs, and the loss is a sum over other labels of the batch.

        Args:
            x: the inputs.
            labels: (weight, function of the tensors of labels and sample weights).
        """
        before = self.x, self._labels
        self.x, self._labels = x, labels
        try:
            yield
        finally:
            self.x, self._labels = before

    def outputs_of(self, model: Any) -> Any:
        """Return the outputs of another model for the batch, as in prediction; no gradient goes through them."""
        with keras.StatelessScope(self._state_mapping), no_gradient():
            outputs = model(self.x, training=False)
        return keras.tree.map_structure(ops.stop_gradient, outputs)

    @property
    def unlabelled(self) -> bool:
        """Whether the batch has no labels, though some transform has a loss that needs none."""
        return self.y is None and any(not transform.needs_labels for transform in self.transforms)

    # -- what transforms are made of -----------------------------------------------------------------------------

    def index(self, variable: Any) -> int:
        """Return the place of a variable in `variables`."""
        return next(index for index, other in enumerate(self.variables) if other is variable)

    def gradient(self, function: LossFunction, values: list[Any], index: int, higher_order: bool = False):
        """Return a loss, what else came out, and the gradient by one of the values, times `scale`.

        Args:
            function: of a list of values.
            values: the values.
            index: of the value that the loss is differentiated by.
            higher_order: whether the gradient will be differentiated.

        Returns:
            loss: a scalar.
            aux: what the function returns besides.
            gradient: float32, of the variable's shape.
        """

        def scaled(changed):
            loss, aux = function(replaced(values, index, changed[0]))
            return loss * ops.cast(self.scale, loss.dtype), (loss, aux)

        _, (loss, aux), (gradient,) = value_and_gradients(scaled, [values[index]], higher_order)
        if gradient is None:
            gradient = ops.zeros(self.variables[index].shape, dtype="float32")
        return loss, aux, dense(gradient)

    # -- the step --------------------------------------------------------------------------------------------

    def run(self, values: list[Any]) -> tuple[Any, Any, list[tuple[Any, Any]], list[Any]]:
        """Compute the gradients that the optimizer applies.

        Args:
            values: of the trainable variables.

        Returns:
            loss: what is minimised, a scalar.
            outputs: the model's outputs in the last pass that computed its loss.
            assigned: (variable, new value) pairs, of what layers assigned to in that pass.
            gradients: of the trainable variables, times `scale`.
        """
        function: LossFunction = self.loss
        for transform in self.transforms:
            function = transform.wrap(function, self)

        def scaled(trainable):
            loss, (outputs, assigned) = function([*trainable, *self._frozen])
            return loss * ops.cast(self.scale, loss.dtype), (loss, outputs, assigned)

        _, (loss, outputs, assigned), gradients = value_and_gradients(scaled, values)
        return loss, outputs, list(zip(self._assigned, assigned, strict=True)), gradients

    def report(self, loss: Any, outputs: Any) -> dict[str, Any]:
        """Update the model's metrics and return the logs."""
        size = ops.shape(next(part for part in keras.tree.flatten(self.x) if part is not None))[0]
        keras_private.track_loss(self.model, loss, size)
        if self.unlabelled:
            return self.model.get_metrics_result()
        return self.model.compute_metrics(self.x, self.y, outputs, sample_weight=self.sample_weight)


def replaced(values: list[Any], index: int, value: Any) -> list[Any]:
    """Return a list with another value at one place."""
    return [*values[:index], value, *values[index + 1 :]]


def train_with_transforms(model: Any, transforms: list[LossTransform], *args: Any) -> Any:
    """Make one training step of a model with transforms.

    Args:
        model: a compiled `bert4keras2.backend.Model`.
        transforms: the transforms, each of which changes the loss that those before it left.
        *args: what `train_step` gets: the data, on JAX after the state.

    Returns:
        What `train_step` returns: the logs, on JAX with the new state.

    Raises:
        NotImplementedError: if a strategy of TensorFlow shares the batch among several devices.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        return _train_jax(model, transforms, *args)
    if backend == "tensorflow":
        return _train_tensorflow(model, transforms, *args)
    import torch

    # What torch.compile makes of a model has no second derivatives.
    train = (
        torch.compiler.disable(_train_torch)
        if any(transform.higher_order for transform in transforms)
        else _train_torch
    )
    return train(model, transforms, *args)


def _train_tensorflow(model: Any, transforms: list[LossTransform], data: Any) -> Any:
    import tensorflow as tf

    if tf.distribute.has_strategy() and tf.distribute.get_strategy().num_replicas_in_sync > 1:
        raise NotImplementedError(
            "The techniques of bert4keras2.training need the gradient of the whole batch, which a strategy of"
            " TensorFlow shares among devices: train on one device, or on the JAX backend with data_parallel"
        )
    step = TrainingStep(model, data, transforms)
    trainable = list(model.trainable_variables)
    loss, outputs, assigned, gradients = step.run([value_of(variable) for variable in trainable])
    for variable, value in assigned:
        variable.assign(value)
    model.optimizer.apply_gradients(zip(gradients, trainable, strict=True))
    return step.report(loss, outputs)


def _train_torch(model: Any, transforms: list[LossTransform], data: Any) -> Any:
    import torch

    step = TrainingStep(model, data, transforms)
    trainable = list(model.trainable_variables)
    loss, outputs, assigned, gradients = step.run([value_of(variable) for variable in trainable])
    with torch.no_grad():
        for variable, value in assigned:
            variable.assign(value)
        model.optimizer.apply(gradients, trainable)
    return step.report(loss.detach(), keras.tree.map_structure(ops.stop_gradient, outputs))


def _train_jax(model: Any, transforms: list[LossTransform], state: Any, data: Any) -> Any:
    trainable, non_trainable, optimizer, metrics = state
    pairs = [
        *zip(model.non_trainable_variables, non_trainable, strict=True),
        *zip(model.metrics_variables, metrics, strict=True),
        *zip(model.optimizer.variables, optimizer, strict=True),
    ]
    step = TrainingStep(model, data, transforms, pairs)
    loss, outputs, assigned, gradients = step.run(list(trainable))
    new = {id(variable): value for variable, value in assigned}
    non_trainable, metrics = (
        [new.get(id(variable), value) for variable, value in zip(variables, values, strict=True)]
        for variables, values in ((model.non_trainable_variables, non_trainable), (model.metrics_variables, metrics))
    )
    trainable, optimizer = model.optimizer.stateless_apply(optimizer, gradients, trainable)
    with keras.StatelessScope(list(zip(model.metrics_variables, metrics, strict=True))) as scope:
        logs = step.report(loss, outputs)
        metrics = [scope.get_current_value(variable) for variable in model.metrics_variables]
    return logs, (trainable, non_trainable, optimizer, metrics)


# -- what follows a step ---------------------------------------------------------------------------------------


class _Following(keras.callbacks.Callback):
    """Lets transforms do what follows each step of `fit`, and puts means of what they report into an epoch's logs."""

    def __init__(self, transforms: list[LossTransform]):
        super().__init__()
        self._transforms = transforms
        self._reported: dict[str, list[float]] = {}

    def on_epoch_begin(self, epoch, logs=None):
        self._reported = {}

    def on_train_batch_end(self, batch, logs=None):
        for transform in self._transforms:
            for name, value in transform.after_step().items():
                self._reported.setdefault(name, []).append(value)

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs.update({name: sum(values) / len(values) for name, values in self._reported.items()})


def let_follow(transforms: list[LossTransform], given: dict[str, Any]) -> None:
    """Add a callback for transforms that do something after each step to the arguments of `fit`."""
    transforms = [transform for transform in transforms if transform.follows]
    if transforms:
        add_callback(given, _Following(transforms))
