"""Optimizers and learning rate schedules."""

from bert4keras2.optimizers.adam import Adam
from bert4keras2.optimizers.schedules import PiecewiseLinear

__all__ = ["Adam", "PiecewiseLinear"]
