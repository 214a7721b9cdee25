"""Lion: steps of equal size in the direction of a momentum's signs."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert4keras2.functional.registry import register
from bert4keras2.optimizers.rules import Composable, Step

__all__ = ["Lion", "LionV2"]


@register
class Lion(Composable, keras.optimizers.Optimizer):
    """Lion (Chen et al., arXiv:2302.06675), also called `LionV2`.

    Args:
        learning_rate: a number or a schedule.
        beta_1: share of the momentum in the direction of a step.
        beta_2: decay of the momentum.
        name: name of the optimizer.
        **kwargs: of keras.optimizers.Optimizer.
    """

    def __init__(
        self,
        learning_rate: Any = 0.0003,
        beta_1: float = 0.95,
        beta_2: float = 0.98,
        name: str = "Lion",
        **kwargs: Any,
    ):
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.beta_1, self.beta_2 = beta_1, beta_2

    def build(self, variables):
        """Create one momentum per variable."""
        if self.built:
            return
        super().build(variables)
        self._momentum = [self.add_variable_from_reference(v, "momentum") for v in variables]

    def step_change(self, step: Step) -> Any:
        """Return what a step subtracts from a variable."""
        slot, dtype = self._momentum[step.index], step.variable.dtype
        beta_1, beta_2 = ops.cast(self.beta_1, dtype), ops.cast(self.beta_2, dtype)
        change = step.rate * ops.sign(slot * beta_1 + step.gradient * (1 - beta_1))
        self.assign(slot, slot * beta_2 + step.gradient * (1 - beta_2))
        return change

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2}


LionV2 = Lion
