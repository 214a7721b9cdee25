"""Home-made metric functions, which may return one number for a batch or for a row, on outputs that have a mask."""

from __future__ import annotations

import types
from typing import Any

import keras

from bert4keras2.functional import keras_private
from bert4keras2.functional.registry import register
from bert4keras2.training.layer_methods import replaced_leaves

__all__ = ["FunctionMetric", "wrap_functions"]


@register
class FunctionMetric(keras.metrics.MeanMetricWrapper):
    """The mean of what a function returns: numbers for tokens, for rows, or one number for a batch.

    Keras weighs what a function returns by the output's mask. That has a place for each token, so that numbers for
    rows or for a batch cannot be weighed by it: they count as they are.

    Args:
        fn: a function of (y_true, y_pred).
        name: of the metric; the function's by default.
        dtype: of the result.
    """

    def __init__(self, fn: Any, name: str | None = None, dtype: Any = None):
        super().__init__(fn, name or fn.__name__, dtype)
        self._function = fn

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add the values of a batch."""
        mask, values = keras_private.mask_of(y_pred), self._function(y_true, y_pred)
        rank = len(values.shape)
        if mask is not None and rank >= len(mask.shape):
            sample_weight = _masked(mask, sample_weight, self.dtype)
        elif sample_weight is not None and _is_finer(sample_weight, rank):
            sample_weight = None
        return keras.metrics.Mean.update_state(self, values, sample_weight)


def _is_finer(weights: Any, rank: int) -> bool:
    """Whether weights have places for parts of what values (B, ...) of a rank are about; a column is flat weights."""
    return rank == 0 or len(weights.shape) > rank + (weights.shape[-1] == 1)


def _masked(mask: Any, sample_weight: Any, dtype: Any) -> Any:
    """Return the weights of tokens, 0 where the mask hides them."""
    weights = keras.ops.cast(mask, dtype)
    if sample_weight is None:
        return weights
    given = keras.ops.cast(sample_weight, dtype)
    if len(given.shape) > len(weights.shape):  # a column
        given = given[..., 0]
    while len(given.shape) < len(weights.shape):  # weights of rows
        given = given[..., None]
    return weights * given


def wrap_functions(metrics: Any) -> Any:
    """Return the metrics that a model is compiled with, with a `FunctionMetric` for each function of a script."""

    def wrap(metric: Any) -> Any:
        own = isinstance(metric, types.FunctionType | types.MethodType)
        return FunctionMetric(metric) if own and not _is_of_keras(metric) else metric

    return replaced_leaves(metrics, wrap)


def _is_of_keras(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).partition(".")[0] == "keras"
