"""The learning rate by its name of Keras 2, `optimizer.lr`: read and set, by `K.get_value` and `K.set_value` too."""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np

__all__ = ["RateName", "ScheduledRate", "name_rate"]


class ScheduledRate:
    """The rate of an optimizer that follows a schedule, as scripts read and set it.

    Args:
        optimizer: the optimizer.
    """

    def __init__(self, optimizer: Any):
        self._optimizer = optimizer

    def assign(self, value: Any) -> None:
        """Set the optimizer's rate, as `optimizer.learning_rate = value` does."""
        self._optimizer.learning_rate = value

    def numpy(self) -> np.ndarray:
        """Return the rate of the step to come."""
        return keras.ops.convert_to_numpy(self._optimizer.learning_rate)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.numpy(), dtype)

    def __float__(self) -> float:
        return float(self.numpy())

    def __mul__(self, other: Any) -> Any:
        return float(self) * other

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return float(self) / other

    def __repr__(self) -> str:
        return f"<learning rate {float(self):g} of a schedule>"


class RateName:
    """Mixed into a class of optimizers, it gives them `lr`."""

    learning_rate: Any

    @property
    def lr(self) -> Any:
        """The variable of the learning rate, or what stands for the rate of a schedule."""
        rate = self.learning_rate
        return rate if hasattr(rate, "assign") else ScheduledRate(self)

    @lr.setter
    def lr(self, value: Any) -> None:
        self.learning_rate = value


def name_rate(optimizer: Any) -> None:
    """Give an optimizer of one of Keras' classes the attribute `lr`; others stay as they are."""
    cls = type(optimizer)
    if not hasattr(cls, "lr") and any(getattr(keras.optimizers, b.__name__, None) is b for b in cls.__mro__[:3]):
        optimizer.__class__ = _with_rate_name(cls)


@functools.cache
def _with_rate_name(cls: type) -> type:
    """Return a class with `lr` that Keras saves as the one that it is made of."""
    exported = getattr(keras.optimizers, cls.__name__, None) is cls
    names = {"__module__": "keras.optimizers" if exported else cls.__module__, "__doc__": cls.__doc__}
    return type(cls.__name__, (RateName, cls), names)
