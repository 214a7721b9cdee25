"""Learning rate schedules."""

from __future__ import annotations

from typing import Any

import keras

from bert4keras2.backend import piecewise_linear, register
from bert4keras2.backend.functions import schedule_points

__all__ = ["PiecewiseLinear"]


@register
class PiecewiseLinear(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that is interpolated linearly between given points, such as warm-up and decay.

    `PiecewiseLinear(2e-5, {1000: 1, 20000: 0.1})` rises from 0 to 2e-5 in 1,000 steps, falls to 2e-6 by step 20,000
    and stays there.

    Args:
        learning_rate: the rate that factor 1 stands for.
        schedule: {step: factor}; step 0 has factor 0 unless it is given.

    Raises:
        ValueError: if the schedule is empty or has a negative step.
    """

    def __init__(self, learning_rate: float, schedule: dict[int, float]):
        schedule_points(schedule)
        self.learning_rate = float(learning_rate)
        self.schedule = {int(step): float(factor) for step, factor in schedule.items()}

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of a step, a float32 scalar."""
        return self.learning_rate * piecewise_linear(step, self.schedule)

    def get_config(self) -> dict[str, Any]:
        # JSON keys are strings; the constructor turns them back into steps.
        return {"learning_rate": self.learning_rate, "schedule": {str(k): v for k, v in self.schedule.items()}}
