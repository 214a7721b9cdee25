"""The transforms that the functions of `bert4keras2.training` add to a model: what they make of a step's loss."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from bert4keras2.functional import keras_private
from bert4keras2.training.gradients import squared_gradient, value_and_gradients
from bert4keras2.training.step import LossFunction, LossTransform, TrainingStep, replaced

__all__ = [
    "Adversarial",
    "Penalty",
    "StepSeed",
    "Virtual",
    "add_finite",
    "length_of",
    "log_probabilities",
    "masked_mean",
    "mean_divergence",
    "moved",
    "unit",
]


def length_of(x: Any) -> Any:
    """Return the L2 norm of all entries."""
    return ops.sqrt(ops.sum(ops.square(x)))


def add_finite(value: Any, added: Any) -> Any:
    """Return value + added; value alone if an overflow spoilt the other, as happens while a loss scale is being found.

    The gradients are not finite in that case, so that the optimizer skips the step and lowers the scale.
    """
    return value + ops.cast(ops.where(ops.isfinite(added), added, 0.0), value.dtype)


def moved(values: list[Any], index: int, move: Any) -> list[Any]:
    """Return values of which one has moved; nothing is differentiated by the move."""
    value = values[index]
    return replaced(values, index, value + ops.cast(ops.stop_gradient(move), value.dtype))


class Adversarial(LossTransform):
    """The loss at a variable that is moved by epsilon along the gradient."""

    kind = "adversarial"

    def __init__(self, variable: Any, epsilon: float):
        super().__init__(variable)
        self.epsilon = epsilon

    def wrap(self, loss: LossFunction, step: TrainingStep) -> LossFunction:
        """Return the changed loss."""
        index = step.index(self.variable)

        def perturbed(values):
            gradient = step.gradient(loss, [ops.stop_gradient(value) for value in values], index)[2]
            length = length_of(gradient) / step.scale
            move = gradient * (self.epsilon / step.scale / (length + 1e-8))
            # If it overflowed, the gradients at E do so too, and the optimizer skips the step.
            return loss(moved(values, index, ops.where(ops.isfinite(length), move, 0.0)))

        return perturbed


class Penalty(LossTransform):
    """The loss plus epsilon / 2 times the squared norm of its gradient."""

    kind, higher_order = "penalty", True

    def __init__(self, layer: Any, variable: Any, epsilon: float, of: str):
        super().__init__(variable)
        self.layer, self.epsilon, self.of = layer, epsilon, of

    def wrap(self, loss: LossFunction, step: TrainingStep) -> LossFunction:
        """Return the changed loss."""
        index = step.index(self.variable)

        def by_vectors(values):
            def probed(probes):
                with _tapped(self.layer, probes[0]):
                    value, aux = loss(values)
                return value * ops.cast(step.scale, value.dtype), (value, aux)

            probe = ops.zeros((), dtype="float32")
            _, (value, aux), (squares,) = value_and_gradients(probed, [probe], higher_order=True)
            return value, aux, ops.zeros(()) if squares is None else squares

        def by_matrix(values):
            value, aux, gradient = step.gradient(loss, values, index, higher_order=True)
            return value, aux, ops.sum(ops.square(gradient))

        def penalised(values):
            value, aux, squares = (by_vectors if self.of == "vectors" else by_matrix)(values)
            penalty = 0.5 * self.epsilon * (squares / step.scale / step.scale)
            return add_finite(value, penalty), aux

        return penalised


@contextlib.contextmanager
def _tapped(layer: Any, probe: Any) -> Iterator[None]:
    """A context in which the gradient of `probe` is that of the layer's vectors, squared and summed."""
    call = layer.call

    def tapped(*args: Any, **kwargs: Any) -> Any:
        output = call(*args, **kwargs)
        return output if kwargs.get("mode", "embedding") != "embedding" else squared_gradient(output, probe)

    object.__setattr__(layer, "call", tapped)
    try:
        yield
    finally:
        object.__delattr__(layer, "call")


class StepSeed(keras.random.SeedGenerator):
    """The seed of one step's noise, which follows from the step's number: a state to be kept would be in the way."""

    def __init__(self, seed: int, number: Any):  # the base class makes a variable
        self._initial_seed, self._number = seed, number

    def next(self, ordered: bool = True) -> Any:
        """Return the seed, always the same."""
        dtype = "uint32" if keras.backend.backend() == "jax" else "int64"
        return ops.stack([ops.cast(self._initial_seed, dtype), ops.cast(self._number, dtype)])


class Virtual(LossTransform):
    """The loss plus KL(p || q) of predictions as they are and at a variable that is moved to where they change."""

    kind, needs_labels = "virtual", False

    def __init__(
        self,
        variable: Any,
        epsilon: float,
        xi: float,
        weight: float,
        iters: int,
        from_logits: bool,
        output: int,
    ):
        super().__init__(variable)
        self.epsilon, self.xi, self.weight, self.iters = epsilon, xi, weight, iters
        self.from_logits, self.output = from_logits, output
        self.seed = random.randint(1, 2**31 - 1)

    def wrap(self, loss: LossFunction, step: TrainingStep) -> LossFunction:
        """Return the changed loss."""
        index = step.index(self.variable)

        def regularised(values):
            value, aux = loss(values)
            target, mask = log_probabilities(aux[0], self.output, self.from_logits)
            target = ops.stop_gradient(target)

            def divergence(values):
                predicted, _ = log_probabilities(step.predict(values), self.output, self.from_logits)
                return mean_divergence(target, predicted, mask), None

            fixed = [ops.stop_gradient(value) for value in values]
            seed = StepSeed(self.seed, step.number)
            direction = unit(keras.random.normal(self.variable.shape, dtype="float32", seed=seed))
            for _ in range(self.iters):

                def nearby(values, direction=direction):
                    return divergence(moved(values, index, self.xi * direction))

                direction = unit(step.gradient(nearby, fixed, index)[2])
            added, _ = divergence(moved(values, index, self.epsilon * direction))
            return add_finite(value, self.weight * added), aux

        return regularised


def log_probabilities(outputs: Any, output: int, from_logits: bool) -> tuple[Any, Any]:
    """Return the logarithms (..., classes) of the probabilities that one of a model's outputs stands for, and its mask.

    Args:
        outputs: of the model.
        output: which of them.
        from_logits: whether it has logits; one alone, or one probability, is of the second of two classes.
    """
    chosen = keras.tree.flatten(outputs)[output]
    mask, x = keras_private.mask_of(chosen), ops.cast(chosen, "float32")
    if x.shape[-1] == 1:
        if from_logits:
            return ops.concatenate([ops.log_sigmoid(-x), ops.log_sigmoid(x)], -1), mask
        x = ops.concatenate([1 - x, x], -1)
    elif from_logits:
        return ops.log_softmax(x, axis=-1), mask
    return ops.log(ops.clip(x, keras.config.epsilon(), 1.0)), mask


def mean_divergence(log_p: Any, log_q: Any, mask: Any = None) -> Any:
    """Return the mean KL(p || q) of distributions on the last axis, where the mask is true."""
    return masked_mean(ops.sum(ops.exp(log_p) * (log_p - log_q), axis=-1), mask)


def masked_mean(values: Any, mask: Any = None) -> Any:
    """Return the mean of values where the mask is true; of all without one."""
    if mask is None:
        return ops.mean(values)
    weights = ops.broadcast_to(ops.cast(mask, values.dtype), ops.shape(values))
    return ops.sum(values * weights) / ops.maximum(ops.sum(weights), 1.0)


def unit(x: Any) -> Any:
    """Return x over its L2 norm; zeros if that is zero."""
    length = length_of(x)
    return x / ops.where(length > 0, length, 1.0)
