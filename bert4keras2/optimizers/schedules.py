"""Learning rate schedules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from bert4keras2.functional.piecewise import piecewise_linear, schedule_points
from bert4keras2.functional.registry import register
from bert4keras2.optimizers.rules import UpdateRule

__all__ = ["PiecewiseLinear", "RelativeStep", "Scheduled", "checked_schedule"]


def checked_schedule(schedule: dict[int, float] | Iterable[tuple[int, float]]) -> dict[int, float]:
    """Return a schedule as {step: factor} with whole steps.

    Args:
        schedule: {step: factor}, or its pairs; steps may be strings, as JSON has them.

    Raises:
        ValueError: if it is empty, or its steps are not whole numbers from 0 that increase.
    """
    pairs = list(schedule.items() if hasattr(schedule, "items") else schedule)
    for step, _ in pairs:
        if float(step) != int(float(step)):
            raise ValueError(f"The steps of a schedule are whole numbers; found {step!r} in {schedule!r}")
    pairs = [(int(float(step)), float(factor)) for step, factor in pairs]
    schedule_points(dict(pairs))
    for (before, _), (after, _) in zip(pairs, pairs[1:], strict=False):
        if after <= before:
            raise ValueError(f"The steps of a schedule increase; step {after} follows step {before} in {schedule!r}")
    return dict(pairs)


@register
class PiecewiseLinear(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that is interpolated linearly between given points, such as warm-up and decay.

    `PiecewiseLinear(2e-5, {1000: 1, 20000: 0.1})` rises from 0 to 2e-5 in 1,000 steps, falls to 2e-6 by step 20,000
    and stays there.

    Args:
        learning_rate: the rate that factor 1 stands for, a number or another schedule.
        schedule: {step: factor}, in increasing order; step 0 has factor 0 unless it is given.

    Raises:
        ValueError: if the schedule is empty, or its steps are not whole numbers from 0 that increase.
    """

    def __init__(self, learning_rate: Any, schedule: dict[int, float]):
        self.schedule = checked_schedule(schedule)
        if isinstance(learning_rate, dict):
            learning_rate = keras.optimizers.schedules.deserialize(learning_rate)
        self.learning_rate = learning_rate if callable(learning_rate) else float(learning_rate)

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of a step, a float32 scalar."""
        rate = self.learning_rate(step) if callable(self.learning_rate) else self.learning_rate
        return rate * piecewise_linear(step, self.schedule)

    def get_config(self) -> dict[str, Any]:
        rate = self.learning_rate
        # Pairs, because JSON has no numbers as keys, and sorting them as strings would put 1000 before 200.
        return {
            "learning_rate": keras.optimizers.schedules.serialize(rate) if callable(rate) else rate,
            "schedule": [[step, factor] for step, factor in self.schedule.items()],
        }


@register
class RelativeStep(keras.optimizers.schedules.LearningRateSchedule):
    """AdaFactor's own learning rate: factor * min(0.01, 1 / sqrt(step + 1)).

    Args:
        factor: 1 where steps are scaled by the size of the weights, 0.05 where they are not.
    """

    def __init__(self, factor: float = 1.0):
        self.factor = float(factor)

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of a step, a float32 scalar."""
        return self.factor * ops.minimum(0.01, ops.rsqrt(ops.cast(step, "float32") + 1))

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor}


class Scheduled(UpdateRule):
    """Multiplies the learning rate by a piecewise linear function of the step.

    Args:
        lr_schedule: {step: factor}; see `PiecewiseLinear`.

    Raises:
        ValueError: if the schedule is empty, or its steps are not whole numbers from 0 that increase.
    """

    keywords = {"lr_schedule": {0: 1}}

    def __init__(self, lr_schedule: dict[int, float] | None = None):
        self.lr_schedule = checked_schedule({0: 1} if lr_schedule is None else lr_schedule)

    def scheduled(self, rate):
        self.schedule = PiecewiseLinear(rate, self.lr_schedule)
        return self.schedule

    def config(self, config):
        config["lr_schedule"] = [[step, factor] for step, factor in self.lr_schedule.items()]
        config["learning_rate"] = self.schedule.get_config()["learning_rate"]
