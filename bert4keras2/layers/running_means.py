"""Running means that a layer updates inside its call, on all backends."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert4keras2.functional import keras_private

__all__ = ["LayerMean", "LayerMeans", "refresh_logs"]


class LayerMean(keras.metrics.Metric):
    """The mean of the scalars that a layer reported since the last reset; NaN before the first.

    Its two variables belong to the layer rather than to the metric: a step on JAX returns the layers' state after the
    call, but takes that of metrics from before it.
    """

    def __init__(self, name: str):
        super().__init__(name=name)
        options = {"initializer": "zeros", "dtype": "float32", "trainable": False, "autocast": False}
        # In an object of its own, where the metric's tracking does not look.
        self.state = _State([keras.Variable(shape=(), name=f"{name}_{part}", **options) for part in ("total", "count")])

    @property
    def variables(self) -> list[Any]:
        """None: see `state`."""
        return []

    def update_state(self, value: Any) -> None:
        """Add the scalar of one step."""
        total, count = self.state.variables
        total.assign(total + ops.stop_gradient(ops.cast(ops.mean(value), "float32")))
        count.assign(count + 1)

    def result(self) -> Any:
        """Return the mean, a float32 scalar; NaN within a step on JAX, where the variables do not hold its values."""
        variables = self.state.variables
        in_step = keras.backend.backend() == "jax" and keras_private.in_stateless_scope()
        if in_step or any(keras_private.raw_value(variable) is None for variable in variables):
            return ops.convert_to_tensor(float("nan"))
        return self.mean(*variables)

    @staticmethod
    def mean(total: Any, count: Any) -> Any:
        """Return the mean of `count` values, NaN of none."""
        return ops.where(ops.equal(count, 0), float("nan"), total / ops.maximum(count, 1))

    def reset_state(self) -> None:
        """Start anew."""
        for variable in self.state.variables:
            variable.assign(ops.zeros((), dtype="float32"))


class _State:
    def __init__(self, variables: list[Any]):
        self.variables = variables


class LayerMeans:
    """The means of one layer by name; an object that Keras does not look into, so a built layer may add to it."""

    def __init__(self) -> None:
        self._by_name: dict[str, LayerMean] = {}

    def update(self, name: str, value: Any) -> None:
        """Add a step's scalar to the mean of a name, which begins at its first use."""
        if name not in self._by_name:
            self._by_name[name] = LayerMean(name)
        self._by_name[name].update_state(value)

    @property
    def metrics(self) -> list[LayerMean]:
        """All means."""
        return list(self._by_name.values())

    @property
    def variables(self) -> list[Any]:
        """The state of all means, which the layer counts among its own variables."""
        return [variable for metric in self.metrics for variable in metric.state.variables]


def refresh_logs(model: Any, logs: dict[str, Any], non_trainable: list[Any]) -> dict[str, Any]:
    """Return a JAX step's logs with the layers' means after that step.

    Args:
        model: the model.
        logs: what the step reports.
        non_trainable: values of the model's non-trainable variables after the step.
    """
    values = {id(v): value for v, value in zip(model.non_trainable_variables, non_trainable, strict=True)}
    means = [metric for metric in model.metrics if isinstance(metric, LayerMean)]
    return {**logs, **{metric.name: metric.mean(*(values[id(v)] for v in metric.state.variables)) for metric in means}}
