"""Steps in the form of Keras 2, for scripts that replace `model.train_function` by one of their own.

There a step was a function of one flat list (inputs, targets, sample weights), and the loss's gradient another one:

    gradients = K.gradients(model.total_loss, [embeddings])
    find = K.function(model._feed_inputs + model._feed_targets + model._feed_sample_weights, gradients)

A step of Keras 3 takes batches from an iterator, and a loss exists only while it runs. So what stands for a loss, its
gradient, targets and weights are objects here that say what is meant, and `K.function` computes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import keras
import numpy as np

from bert4keras2.functional import keras_private
from bert4keras2.functional.compiled import compiled
from bert4keras2.training.gradients import value_of
from bert4keras2.training.step import LossTransform, TrainingStep

__all__ = ["Fed", "LossGradient", "Replaced", "TotalLoss", "TrainFunction", "gradient_function"]


class TotalLoss:
    """What a compiled model minimises.

    Args:
        model: the model.
    """

    def __init__(self, model: Any):
        self.model = model

    def gradients(self, variables: Sequence[Any]) -> list[LossGradient]:
        """Return the gradients with respect to variables of the model."""
        return [LossGradient(self.model, variable) for variable in variables]


class Fed:
    """The targets or the sample weights of one of a model's outputs."""

    def __init__(self, kind: str, index: int):
        self.kind, self.index = kind, index

    def __repr__(self) -> str:
        return f"<{self.kind} of output {self.index}>"


class LossGradient:
    """The gradient of a model's loss with respect to one of its variables; dense, whatever the variable is.

    Args:
        model: a compiled model.
        variable: one of its variables.
    """

    def __init__(self, model: Any, variable: Any):
        self.model, self.variable = model, variable
        self.shape = tuple(variable.shape)

    def __add__(self, other: Any) -> LossGradient:
        """Return itself: scripts add zeros to have a dense tensor of it."""
        if tuple(getattr(other, "shape", ())) not in ((), self.shape) or np.any(keras.ops.convert_to_numpy(other)):
            raise TypeError("Of the gradient of model.total_loss, only the sum with K.zeros_like is there")
        return self

    __radd__ = __add__


def gradient_function(outputs: Any) -> Callable[[Sequence[Any]], Any]:
    """Return a function of a flat list of arrays that computes gradients of a model's loss.

    Args:
        outputs: a `LossGradient`, or a list of them.

    Returns:
        A function: flat list -> arrays in the structure of `outputs`.

    Raises:
        ValueError: if there is something else among the outputs.
    """
    flat = keras.tree.flatten(outputs)
    if not all(isinstance(each, LossGradient) for each in flat):
        raise ValueError("K.function computes gradients of model.total_loss, or symbolic tensors, but not both at once")
    functions = [_gradient_of(each.model, each.variable) for each in flat]

    def compute(values: Sequence[Any]) -> Any:
        found = [function(values) for function in functions]
        return keras.tree.pack_sequence_as(outputs, found)

    return compute


def _gradient_of(model: Any, variable: Any) -> Callable[[Sequence[Any]], np.ndarray]:
    def variables() -> list[Any]:
        return [*model.variables, *model.optimizer.variables]

    def gradient(data: tuple[Any, ...]) -> Any:
        known = []
        if keras.backend.backend() == "jax":  # where values are arguments of what is compiled
            known = [(each, each.value) for each in variables()]
        step = TrainingStep(model, data, [LossTransform(variable)], known)
        values = [value_of(each) for each in step.variables]
        return step.gradient(step.loss, values, step.index(variable))[2] / step.scale

    if keras.backend.backend() != "torch":
        gradient = compiled(gradient, variables, jit_compile=False)

    def compute(values: Sequence[Any]) -> np.ndarray:
        return keras.ops.convert_to_numpy(keras.ops.stop_gradient(gradient(_data_of(model, values))))

    return compute


# -- batches ---------------------------------------------------------------------------------------------------


def _flat_of(model: Any, data: Any) -> list[np.ndarray]:
    """Return a batch's arrays in one list: inputs, targets, sample weights, which are ones where none are given."""
    x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
    if isinstance(x, dict):
        x = [x[tensor.name] for tensor in model.inputs]
    parts = [*keras.tree.flatten(x), *keras.tree.flatten(y)]
    arrays = [keras.ops.convert_to_numpy(part) for part in parts if part is not None]
    given = [keras.ops.convert_to_numpy(part) for part in keras.tree.flatten(weights) if part is not None]
    count = len(arrays) - len(model.inputs)
    return [*arrays, *(given or [np.ones(len(arrays[0]), "float32") for _ in range(count)])]


def _data_of(model: Any, flat: Sequence[Any]) -> tuple[Any, Any, Any]:
    """Return (inputs, targets, sample weights) as tensors; weights that are all one are none."""
    tensors = [keras.ops.convert_to_tensor(part) for part in flat if getattr(part, "shape", ())]
    inputs, outputs = len(model.inputs), len(model.outputs)
    if len(tensors) not in (inputs, inputs + outputs, inputs + 2 * outputs):
        raise ValueError(
            f"A step of {model.name} takes {inputs} inputs, then {outputs} targets and {outputs} sample weights in one"
            f" list, got {len(tensors)} arrays"
        )
    x = keras.tree.pack_sequence_as(keras_private.input_structure(model), tensors[:inputs])
    targets, weights = tensors[inputs : inputs + outputs], tensors[inputs + outputs :]
    if all(np.all(keras.ops.convert_to_numpy(part) == 1) for part in weights):
        weights = []
    return (x, *(None if not part else part[0] if outputs == 1 else part for part in (targets, weights)))


# -- steps -----------------------------------------------------------------------------------------------------


def _is_flat(args: tuple[Any, ...]) -> bool:
    """Whether a step got one list of arrays; loops of Keras hand over tensors, on PyTorch in a list."""
    return len(args) == 1 and isinstance(args[0], list) and all(isinstance(part, np.ndarray) for part in args[0])


class _Results(list):
    """The numbers that a step reports, in order; `logs` has them by name."""

    logs: dict[str, Any]


class TrainFunction:
    """What a loop of Keras calls for a step. With one flat list it makes a step of Keras 2: see the module.

    Args:
        model: the model.
        function: as Keras made it.
    """

    def __init__(self, model: Any, function: Callable[..., Any]):
        self.model, self.function = model, function

    def __call__(self, *args: Any) -> Any:
        """Make a step with what a loop of Keras hands over, or with one flat list of arrays."""
        if not _is_flat(args):
            return self.function(*args)
        data = _data_of(self.model, args[0])
        backend = keras.backend.backend()
        if backend == "jax":  # the variables have their values (jax_steps.py); four kinds of them are a training step
            logs, _ = self.function((None,) * 4, iter([data]))
        else:
            logs = self.function([data] if backend == "torch" else iter([data]))
        results = _Results(float(keras.ops.convert_to_numpy(value)) for value in keras.tree.flatten(logs))
        results.logs = logs
        return results


class Replaced:
    """What a loop of Keras calls for a step that is a script's own function of a flat list.

    Args:
        model: the model.
        function: takes the arrays of a batch in one list and returns what the function that it replaces returned.
    """

    def __init__(self, model: Any, function: Callable[[list[np.ndarray]], Any]):
        self.model, self.function = model, function

    def __call__(self, *args: Any) -> Any:
        """Make a step with what a loop of Keras hands over."""
        if _is_flat(args):
            return self.function(args[0])  # replaced once more
        *state, source = args
        batches = list(islice(iter(source), self.model.steps_per_execution))
        if not batches:
            raise StopIteration
        for data in batches:
            results = self.function(_flat_of(self.model, data))
        logs = getattr(results, "logs", None)
        if logs is None:
            raise ValueError(
                "model.train_function was replaced by a function that does not return what the old one returned: end it"
                f" with `return outputs`, where outputs = old_train_function(inputs); it returned {results!r:.80}"
            )
        return (logs, *state) if state else logs
