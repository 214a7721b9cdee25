"""Home-made metric functions, which may return one number for a whole batch, on outputs that have a mask."""

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
    """The mean of what a function returns, numbers for samples or one number for a batch.

    Keras weighs what a function returns by the output's mask, which one number cannot be: it counts as it is.

    Args:
        fn: a function of (y_true, y_pred).
        name: of the metric; the function's by default.
        dtype: of the result.
    """

    def __init__(self, fn: Any, name: str | None = None, dtype: Any = None):
        super().__init__(fn, name or fn.__name__, dtype)
        self._function, self._is_scalar = fn, None

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add the values of a batch."""
        if keras_private.mask_of(y_pred) is None or self._is_scalar is False:
            return super().update_state(y_true, y_pred, sample_weight)
        values = self._function(y_true, y_pred)
        self._is_scalar = len(values.shape) == 0
        if self._is_scalar:
            return keras.metrics.Mean.update_state(self, values)
        return super().update_state(y_true, y_pred, sample_weight)


def wrap_functions(metrics: Any) -> Any:
    """Return the metrics that a model is compiled with, with a `FunctionMetric` for each function of a script."""

    def wrap(metric: Any) -> Any:
        own = isinstance(metric, types.FunctionType | types.MethodType)
        return FunctionMetric(metric) if own and not _is_of_keras(metric) else metric

    return replaced_leaves(metrics, wrap)


def _is_of_keras(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).partition(".")[0] == "keras"
