"""Piecewise linear schedules."""

from __future__ import annotations

import itertools
from typing import Any

from keras import ops

__all__ = ["piecewise_linear", "schedule_points"]


def piecewise_linear(t, schedule: dict[int, float], from_zero: bool = True):
    """Interpolate linearly between the points of a schedule.

    Args:
        t: step number, a scalar or tensor.
        schedule: {step: value}; constant after the last step.
        from_zero: start at (0, 0) unless the schedule has step 0; otherwise constant before the first step.

    Returns:
        float32 value(s) of the shape of `t`.

    Raises:
        ValueError: if the schedule is empty or has a negative step.
    """
    steps, values = schedule_points(schedule, from_zero)
    t = ops.cast(t, "float32")
    zeros = ops.zeros_like(t)  # on PyTorch, Keras' full_like waits for a GPU
    result = zeros + values[0]
    for (start, stop), (low, high) in zip(itertools.pairwise(steps), itertools.pairwise(values), strict=True):
        line = low + (t - start) * ((high - low) / (stop - start))
        result = ops.where(t >= start, line, result)
    return ops.where(t >= steps[-1], zeros + values[-1], result)


def schedule_points(schedule: dict[Any, float], from_zero: bool = True) -> tuple[list[int], list[float]]:
    """Return the sorted steps and values of a piecewise linear schedule, (0, 0) first if asked for."""
    if not schedule:
        raise ValueError("A schedule needs at least one {step: factor} entry, such as {1000: 1, 20000: 0.1}")
    points = sorted((int(step), float(value)) for step, value in schedule.items())
    if points[0][0] < 0:
        raise ValueError(f"A schedule counts steps from 0; found step {points[0][0]}")
    if from_zero and points[0][0] != 0:
        points.insert(0, (0, 0.0))
    return [step for step, _ in points], [value for _, value in points]
