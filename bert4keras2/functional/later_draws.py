"""Random weights that are drawn only where a checkpoint brings no others: drawing takes most of the time of a load."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras
import numpy as np

from bert4keras2.functional.functions import ON_TORCH

__all__ = ["LaterDraws", "later_draws", "made_for_loading", "truncated_normal"]

# Below this number of weights a draw takes no time to speak of.
FEW = 1000
# What stands in place of a variable that was not drawn yet: zeros after this number less its own.
MARK = -(2.0**20)


class LaterDraws:
    """The variables that begin as marks, until `finish` draws those that are marks still."""

    def __init__(self) -> None:
        self._draws: list[tuple[float, int]] = []  # (deviation, seed) of each mark
        self._places: list[tuple[Any, int]] = []  # (variable, number of its mark)

    def mark(self, shape: tuple[int, ...], stddev: float) -> Any:
        """Return a tensor of a shape that stands for normal numbers of this deviation."""
        number = len(self._draws)
        # One seed of Keras' stream, as drawing would take: what is drawn after it stays the same.
        self._draws.append((stddev, int(keras.random.randint((), 1, 2**31 - 1))))
        if ON_TORCH:
            zeros = keras.ops.zeros(shape, "float32")
            zeros.view(-1)[0] = MARK - number
            return zeros
        array = np.zeros(shape, "float32")
        array.flat[0] = MARK - number
        return keras.ops.convert_to_tensor(array)

    def found(self, variables: Iterable[Any]) -> bool:
        """Return whether each mark is one of these variables, whole; what was made of another could not be drawn."""
        for variable in variables:
            number = self._number(variable)
            if number is not None:
                self._places.append((variable, number))
        return sorted(number for _, number in self._places) == list(range(len(self._draws)))

    def finish(self) -> None:
        """Draw the variables that nothing was assigned to."""
        for variable, number in self._places:
            if self._number(variable) == number:
                stddev, seed = self._draws[number]
                variable.assign(keras.random.truncated_normal(variable.shape, stddev=stddev, seed=seed))

    def _number(self, variable: Any) -> int | None:
        """Return which mark a variable is, None if it is none."""
        if variable.dtype != "float32" or math.prod(variable.shape) < FEW:
            return None
        # The first row is enough to see it; as a whole, variables would be copied.
        value = np.asarray(variable.value) if keras.backend.backend() == "jax" else variable.value
        row = keras.ops.convert_to_numpy(value[(0,) * (len(variable.shape) - 1)])
        number = MARK - float(row[0])
        return int(number) if number in range(len(self._draws)) and not row[1:].any() else None


_LATER: ContextVar[LaterDraws | None] = ContextVar("later", default=None)


@contextmanager
def later_draws() -> Iterator[LaterDraws]:
    """A context in which `truncated_normal` returns marks for variables of many weights."""
    draws = LaterDraws()
    token = _LATER.set(draws)
    try:
        yield draws
    finally:
        _LATER.reset(token)


def made_for_loading(make: Callable[[], Any], later: bool = True) -> tuple[Any, LaterDraws | None]:
    """Return what a function makes (with a `model`), and what to `finish` once its weights are loaded, None if nothing.

    Args:
        make: makes it; it is called again, and draws at once, if it makes something else of a draw than a variable.
        later: whether draws may wait; not for a script's own class, which may look at its first weights.
    """
    # Variables that are spread over devices are drawn there, by a compiled function.
    if not later or keras.distribution.distribution() is not None:
        return make(), None
    with later_draws() as draws:
        made = make()
    return (made, draws) if draws.found(made.model.weights) else (make(), None)


def truncated_normal(shape: tuple[int, ...], stddev: float, dtype: str | None = None) -> Any:
    """Return normal numbers cut at two standard deviations, or what stands for them in the context of `later_draws`.

    Args:
        shape: of the tensor.
        stddev: standard deviation before cutting.
        dtype: its type; Keras' usual one if None.
    """
    later = _LATER.get()
    if later is None or (dtype or keras.config.floatx()) != "float32" or math.prod(shape) < FEW:
        return keras.random.truncated_normal(shape, stddev=stddev, dtype=dtype)
    return later.mark(shape, stddev)
