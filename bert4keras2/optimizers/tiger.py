"""Tiger: the signs of one momentum, in steps that are scaled to the weights."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from bert4keras2.functional.registry import register
from bert4keras2.optimizers.patterns import Patterns, path_of
from bert4keras2.optimizers.rules import Composable, Step

__all__ = ["Tiger"]

SMALL = re.compile("bias|beta|gamma")  # vectors around 0 or 1, whose steps are not scaled to their size
HALF = 0.5  # what they move by, of the learning rate
ZERO_SCALE = 0.02  # the root mean square that most matrices of transformers start with


@register
class Tiger(Composable, keras.optimizers.Optimizer):
    """Tiger (kexue.fm/archives/9512): one slot for each weight, and no buffer for gradient accumulation.

    A step is `rate * (sign(m) + weight_decay_rate * w)`. The rate is the learning rate times the root mean square of
    the variable, of each row for embeddings; biases and the like (bias, beta, gamma) take half the learning rate.
    A matrix of zeros would stay at zero: it moves as if its root mean square were at least 0.02.

    A gradient that is not finite leaves the momentum alone and shrinks the variable a little, towards 1 for gamma and
    towards 0 for all others.

    Args:
        learning_rate: a number or a schedule, 1e-3 to 2e-3 at most; rates of LAMB serve. Under accumulation, the steps
            of a schedule are micro-batches.
        beta: decay of the momentum; 0.965 for language, 0.945 for images.
        weight_decay_rate: share of a variable that a step takes away, times the step's rate.
        exclude_from_weight_decay: regular expressions searched in the paths of variables that do not decay.
        parameter_scale: scale the rates to the variables; without, all take the learning rate as it is.
        grad_accum_steps: how many micro-batches make one step: their mean goes into the momentum itself.
        shrink: what a variable is multiplied by where its gradient is not finite.
        name: name of the optimizer.
        **kwargs: of keras.optimizers.Optimizer.

    Raises:
        ValueError: if a number is out of range, or a pattern is no regular expression.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta: float = 0.965,
        weight_decay_rate: float = 0.01,
        exclude_from_weight_decay: Iterable[str] = ("bias", "beta", "gamma"),
        parameter_scale: bool = True,
        grad_accum_steps: int = 1,
        shrink: float = 0.99,
        name: str = "Tiger",
        **kwargs: Any,
    ):
        if not 0 <= beta < 1:
            raise ValueError(f"beta lies from 0 to below 1; got {beta!r}")
        if int(grad_accum_steps) != grad_accum_steps or grad_accum_steps < 1:
            raise ValueError(f"grad_accum_steps is a whole number from 1; got {grad_accum_steps!r}")
        if grad_accum_steps > 1 and kwargs.get("gradient_accumulation_steps"):
            raise ValueError("Give grad_accum_steps, which needs no buffer, or Keras' gradient_accumulation_steps")
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.beta, self.weight_decay_rate, self.shrink = float(beta), float(weight_decay_rate), float(shrink)
        self.parameter_scale, self.grad_accum_steps = bool(parameter_scale), int(grad_accum_steps)
        self.exclude_from_weight_decay = Patterns("exclude_from_weight_decay", exclude_from_weight_decay).patterns

    def build(self, variables):
        """Create one momentum per variable, and the least scale of each matrix."""
        if self.built:
            return
        super().build(variables)
        self._momentum = [self.add_variable_from_reference(v, "momentum") for v in variables]
        paths = [path_of(v) for v in variables]
        excluded = Patterns("exclude_from_weight_decay", self.exclude_from_weight_decay)
        # No warning of patterns that fit nothing: models without biases are what the defaults are used with, too.
        self._decays = [0.0 if excluded.matches(path) else self.weight_decay_rate for path in paths]
        self._centres = [1.0 if "gamma" in path else 0.0 for path in paths]
        self._small = [bool(SMALL.search(path)) for path in paths]
        self._by_row = [path.rsplit("/", 1)[-1] == "embeddings" for path in paths]
        # Kept with the state, since an interrupted run goes on with matrices that are no longer zero.
        self._floors = [self._floor(v, path) for v, path in zip(variables, paths, strict=True)]

    def _floor(self, variable: Any, path: str) -> Any:
        with _eager():
            start = 0.0 if np.any(ops.convert_to_numpy(variable)) else ZERO_SCALE
        name = f"{path.replace('/', '_')}_floor"
        return self.add_variable(shape=(), initializer=keras.initializers.Constant(start), dtype="float32", name=name)

    def step_change(self, step: Step) -> Any:
        """Return what a step subtracts from a variable."""
        index, dtype, parts = step.index, step.variable.dtype, self.grad_accum_steps
        slot = self._momentum[index]
        kept, fresh = self.beta, (1 - self.beta) / parts
        if parts > 1:
            place = self.iterations % parts
            kept = ops.cast(ops.where(ops.equal(place, 0), self.beta, 1.0), dtype)
        momentum = slot * kept + step.gradient * fresh
        change = ops.sign(momentum)
        if self._decays[index]:
            change = change + step.value * self._decays[index]
        change = change * (step.rate * self._scale(step))
        if parts > 1:
            change = ops.where(ops.equal(place, parts - 1), change, ops.zeros_like(change))
        finite = ops.all(ops.isfinite(step.gradient))
        self.assign(slot, ops.where(finite, momentum, ops.convert_to_tensor(slot)))
        return ops.where(finite, change, (step.value - self._centres[index]) * (1 - self.shrink))

    def _scale(self, step: Step) -> Any:
        """Return what a learning rate is multiplied by, of the variable's dtype."""
        if not self.parameter_scale:
            return 1.0
        if self._small[step.index]:
            return HALF
        axes = -1 if self._by_row[step.index] else None
        size = ops.sqrt(ops.mean(ops.square(ops.cast(step.value, "float32")), axis=axes, keepdims=axes is not None))
        return ops.cast(ops.maximum(size, self._floors[step.index]), step.variable.dtype)

    def get_config(self) -> dict[str, Any]:
        names = "beta weight_decay_rate exclude_from_weight_decay parameter_scale grad_accum_steps shrink"
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}


def _eager() -> Any:
    """Return a context in which variables have values, also where TensorFlow makes a graph."""
    if keras.backend.backend() != "tensorflow":
        return contextlib.nullcontext()
    import tensorflow as tf

    return tf.init_scope()
