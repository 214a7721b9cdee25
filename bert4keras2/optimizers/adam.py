"""Adam with decoupled weight decay, as BERT is fine-tuned."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from bert4keras2.functional.registry import register
from bert4keras2.optimizers.decay import WeightDecay
from bert4keras2.optimizers.fused import fused_adam
from bert4keras2.optimizers.rules import Composable, Step

__all__ = ["Adam", "complement"]


def complement(beta: float, dtype: str) -> float:
    """Return 1 - beta as float32 (or float64) computes it.

    In float32, 1 - 0.999 is off by 5e-5: without bias correction that shows, and the reference computes it so.
    """
    kind = np.float64 if dtype == "float64" else np.float32
    return float(kind(1) - kind(beta))


@register
class Adam(Composable, keras.optimizers.Optimizer):
    """Adam (Kingma & Ba, arXiv:1412.6980) with optional decoupled weight decay (arXiv:1711.05101).

    It differs from keras.optimizers.AdamW where BERT's training does: epsilon is added to the corrected root,
    variables are excluded from decay by patterns on their whole path, bias correction may be left out, and on
    TensorFlow rows of an embedding that a batch does not contain still have their moments decayed.

    Args:
        learning_rate: a number or a schedule, such as `PiecewiseLinear`.
        beta_1: decay of the first moment.
        beta_2: decay of the second moment.
        epsilon: added to the root of the second moment; 0 is allowed, None is Keras' epsilon.
        bias_correction: correct the moments of the first steps.
        weight_decay_rate: share of a variable subtracted per step, times the learning rate.
        exclude_from_weight_decay: regular expressions, searched in the path of a variable ("Norm", "bias").
        name: name of the optimizer.
        **kwargs: of keras.optimizers.Optimizer.

    Raises:
        ValueError: if a pattern is not a regular expression.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = 1e-6,
        bias_correction: bool = True,
        weight_decay_rate: float = 0.0,
        exclude_from_weight_decay: Iterable[str] = (),
        name: str = "Adam",
        **kwargs: Any,
    ):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.beta_1, self.beta_2, self.bias_correction = beta_1, beta_2, bool(bias_correction)
        self.epsilon = keras.config.epsilon() if epsilon is None else float(epsilon)
        decay = WeightDecay(weight_decay_rate, exclude_from_weight_decay)
        self.weight_decay_rate, self.exclude_from_weight_decay = weight_decay_rate, list(exclude_from_weight_decay)
        if weight_decay_rate:
            self.add_rules(decay)

    def build(self, variables):
        """Create two moments per variable."""
        if self.built:
            return
        super().build(variables)
        self._first = [self.add_variable_from_reference(v, "momentum") for v in variables]
        self._second = [self.add_variable_from_reference(v, "velocity") for v in variables]

    def moments(self, place: int) -> tuple[Any, Any]:
        """Return the first and the second moment of the variable at a place among those of the optimizer."""
        return self._first[place], self._second[place]

    def _backend_update_step(self, grads, trainable_variables, learning_rate) -> None:
        left, own = list(range(len(grads))), type(self)
        if (own.step_change, own.update_step) == (Adam.step_change, Composable.update_step):  # else a subclass' step
            places = [self._get_variable_index(variable) for variable in trainable_variables]
            left = fused_adam(self, places, grads, trainable_variables, learning_rate)
        if left:
            super()._backend_update_step(
                [grads[place] for place in left], [trainable_variables[place] for place in left], learning_rate
            )

    def step_change(self, step: Step) -> Any:
        """Return what a step subtracts from a variable."""
        first, second, dtype = self._first[step.index], self._second[step.index], step.variable.dtype
        beta_1, beta_2 = self.beta_1, self.beta_2
        m = ops.convert_to_tensor(first) * beta_1 + step.gradient * complement(beta_1, dtype)
        v = ops.convert_to_tensor(second) * beta_2 + ops.square(step.gradient) * complement(beta_2, dtype)
        self.assign(first, m)
        self.assign(second, v)
        rate, epsilon = step.rate, self.epsilon
        if self.bias_correction:
            # m / c1 / (sqrt(v / c2) + epsilon), with scalars in place of two more passes over the weights
            t = ops.cast(self.iterations + 1, dtype)
            root = ops.sqrt(1 - ops.power(ops.cast(beta_2, dtype), t))
            rate, epsilon = rate * root / (1 - ops.power(ops.cast(beta_1, dtype), t)), epsilon * root
        if self.epsilon:
            return m / (ops.sqrt(v) + epsilon) * rate
        # Without epsilon, a weight that never had a gradient has 0 / 0.
        seen = v > 0
        return rate * ops.where(seen, m / ops.sqrt(ops.where(seen, v, 1)), 0)

    def get_config(self) -> dict[str, Any]:
        names = "beta_1 beta_2 epsilon bias_correction weight_decay_rate exclude_from_weight_decay"
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}
