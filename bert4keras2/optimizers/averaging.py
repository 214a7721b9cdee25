"""Averages of the weights: Lookahead's slow weights and the exponential moving average."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from bert4keras2.optimizers.rules import UpdateRule

__all__ = ["Lookahead", "MovingAverage"]


class Lookahead(UpdateRule):
    """Every few steps, pulls the weights back towards slow ones that follow them (arXiv:1907.08610).

    The slow weights start at the weights (the reference starts them at zero, which pulls a trained model to zero).
    They are updated in the first step and every `steps_per_slow_update` steps after it, as the reference does.

    Args:
        steps_per_slow_update: steps between two updates of the slow weights.
        slow_step_size: share of the way that the slow weights go, in (0, 1].

    Raises:
        ValueError: if a value is out of range.
    """

    keywords = {"steps_per_slow_update": 5, "slow_step_size": 0.5}
    stage = 1

    def __init__(self, steps_per_slow_update: int = 5, slow_step_size: float = 0.5):
        if int(steps_per_slow_update) != steps_per_slow_update or steps_per_slow_update < 1:
            raise ValueError(f"steps_per_slow_update is a whole number from 1; got {steps_per_slow_update!r}")
        if not 0 < slow_step_size <= 1:
            raise ValueError(f"slow_step_size lies above 0 and not above 1; got {slow_step_size!r}")
        self.steps_per_slow_update, self.slow_step_size = int(steps_per_slow_update), float(slow_step_size)

    def build(self, optimizer, variables):
        self._slow = [optimizer.add_variable_from_reference(v, "slow") for v in variables]

    def change(self, step, change):
        slot, count = self._slow[step.index], step.optimizer.iterations
        # The start is taken in the first step, not in `build`: weights may be loaded between the two.
        slow = ops.where(ops.equal(count, 0), ops.convert_to_tensor(step.value), ops.convert_to_tensor(slot))
        pulled = slow + ops.cast(self.slow_step_size, step.variable.dtype) * (step.value - change - slow)
        due = ops.equal(count % self.steps_per_slow_update, 0)
        step.optimizer.assign(slot, ops.where(due, pulled, slow))
        return ops.where(due, step.value - pulled, change)


class MovingAverage(UpdateRule):
    """Keeps an exponential moving average of the weights, which starts at zero.

    Args:
        ema_momentum: share of the old average that a step keeps, in [0, 1).

    Raises:
        ValueError: if it is out of range.
    """

    keywords = {"ema_momentum": 0.999}
    stage = 2

    def __init__(self, ema_momentum: float = 0.999):
        if not 0 <= ema_momentum < 1:
            raise ValueError(f"ema_momentum lies from 0 to below 1; got {ema_momentum!r}")
        self.ema_momentum = float(ema_momentum)
        self._variables: list[Any] = []
        # The weights that the averages have replaced, and the number of steps at that time.
        self._kept: tuple[int, list[np.ndarray]] | None = None

    def attach(self, optimizer):
        if optimizer.use_ema:
            raise ValueError(
                "use_ema is Keras' own average: leave it out, extend_with_exponential_moving_average has one"
            )

    def build(self, optimizer, variables):
        self._variables = list(variables)
        self._averages = [optimizer.add_variable_from_reference(v, "ema") for v in variables]

    def applies(self, index):
        return False

    def after(self, step):
        average, momentum = self._averages[step.index], ops.cast(self.ema_momentum, step.variable.dtype)
        value = ops.convert_to_tensor(step.variable)
        step.optimizer.assign(average, average * momentum + value * (1 - momentum))

    def swap_in(self, updates: int, bias_correction: bool) -> None:
        """Put the averages into the variables; see `AveragedWeights.apply_ema_weights`."""
        if not updates:
            raise ValueError("There is no average before the first step: train before apply_ema_weights()")
        if self._kept is None or self._kept[0] != updates:
            self._kept = updates, [np.array(ops.convert_to_numpy(v)) for v in self._variables]
        scale = 1 - self.ema_momentum**updates if bias_correction else 1.0
        for variable, average in zip(self._variables, self._averages, strict=True):
            variable.assign(ops.convert_to_tensor(average) / ops.cast(scale, variable.dtype))

    def swap_out(self) -> None:
        """Put the variables' own values back; see `AveragedWeights.reset_old_weights`."""
        if self._kept is None:
            raise ValueError("reset_old_weights() takes back apply_ema_weights(), which has not been called")
        for variable, value in zip(self._variables, self._kept[1], strict=True):
            variable.assign(value)
        self._kept = None


class AveragedWeights:
    """The methods of an optimizer with a moving average of the weights."""

    def apply_ema_weights(self, bias_correction: bool = True) -> None:
        """Put the averages into the model's trainable weights, until `reset_old_weights`.

        Args:
            bias_correction: divide by 1 - momentum ** steps, which makes up for the start at zero.

        Raises:
            ValueError: before the first step.
        """
        updates = int(ops.convert_to_numpy(self.iterations))
        if self._counts_micro_steps:
            updates //= self.gradient_accumulation_steps or 1
        self.find_rule(MovingAverage).swap_in(updates, bias_correction)

    def reset_old_weights(self) -> None:
        """Put the weights back that `apply_ema_weights` has replaced, exactly.

        Raises:
            ValueError: if there are none.
        """
        self.find_rule(MovingAverage).swap_out()
