"""Rules that scale a step: layer adaptation, learning rates by name, and lazy rows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from keras import ops

from bert4keras2.optimizers.patterns import Patterns, path_of, warn_unmatched
from bert4keras2.optimizers.rules import UpdateRule

__all__ = ["Factors", "LayerAdaptation", "LazyRows", "ParameterRates"]

# The learning rate that a step is divided by is at least this; the reference uses Keras' epsilon.
SMALLEST_RATE = 1e-7


class LayerAdaptation(UpdateRule):
    """Scales each variable's step to the norm of the variable, times the learning rate (LAMB, arXiv:1904.00962).

    Args:
        exclude_from_layer_adaptation: regular expressions searched in the paths of variables that keep their steps.

    Raises:
        ValueError: if a pattern is no regular expression.
    """

    keywords = {"exclude_from_layer_adaptation": ()}

    def __init__(self, exclude_from_layer_adaptation: Iterable[str] | None = ()):
        self.excluded = Patterns("exclude_from_layer_adaptation", exclude_from_layer_adaptation)
        self.exclude_from_layer_adaptation = self.excluded.patterns

    def build(self, optimizer, variables):
        self._adapts = [not skip for skip in self.excluded.of(variables)]

    def applies(self, index):
        return self._adapts[index]

    def change(self, step, change):
        # Norms of half precision numbers overflow easily.
        rate = ops.maximum(ops.cast(step.rate, "float32"), SMALLEST_RATE)
        size, length = _norm(step.value), _norm(change) / rate
        usual = ops.logical_and(size > 0, length > 0)
        ratio = ops.where(usual, size / ops.where(usual, length, 1.0), 1.0)
        return change * ops.cast(ratio, step.variable.dtype)


class Factors(UpdateRule):
    """Multiplies the steps of each variable by a number; `build` of subclasses gives the numbers."""

    _factors: list[float]

    def applies(self, index):
        return self._factors[index] != 1

    def folded(self, index, factor, decay):
        return factor * self._factors[index], decay * self._factors[index]

    def change(self, step, change):
        return change * ops.cast(self._factors[step.index], step.variable.dtype)


class ParameterRates(Factors):
    """Multiplies the steps of variables by factors that their paths select.

    Args:
        paramwise_lr_schedule: {part of a path: factor}; plain substrings, and all that occur are multiplied.
    """

    keywords = {"paramwise_lr_schedule": {}}

    def __init__(self, paramwise_lr_schedule: dict[str, float] | None = None):
        self.paramwise_lr_schedule = {str(part): float(f) for part, f in (paramwise_lr_schedule or {}).items()}

    def build(self, optimizer, variables):
        paths = [path_of(variable) for variable in variables]
        factors = self.paramwise_lr_schedule
        unused = [part for part in factors if not any(part in path for path in paths)]
        warn_unmatched("paramwise_lr_schedule", unused, paths)
        self._factors = [math.prod(factor for part, factor in factors.items() if part in path) for path in paths]


class LazyRows(UpdateRule):
    """Leaves rows without a gradient as they are, such as the tokens that a batch does not contain.

    Their moments decay all the same.

    Args:
        include_in_lazy_optimization: regular expressions searched in the paths of variables that are treated so.

    Raises:
        ValueError: if a pattern is no regular expression.
    """

    keywords = {"include_in_lazy_optimization": ()}

    def __init__(self, include_in_lazy_optimization: Iterable[str] | None = ()):
        self.included = Patterns("include_in_lazy_optimization", include_in_lazy_optimization)
        self.include_in_lazy_optimization = self.included.patterns

    def build(self, optimizer, variables):
        self._lazy = self.included.of(variables)

    def applies(self, index):
        return self._lazy[index]

    def change(self, step, change):
        touched = ops.any(ops.not_equal(step.gradient, 0), axis=-1, keepdims=True)
        return ops.where(touched, change, ops.zeros_like(change))


def _norm(x: Any) -> Any:
    """Return the Euclidean norm of all entries, a float32 scalar."""
    return ops.sqrt(ops.sum(ops.square(ops.cast(x, "float32"))))
