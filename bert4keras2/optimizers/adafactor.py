"""AdaFactor: second moments kept as rows and columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras
from keras import ops

from bert4keras2.functional.registry import register
from bert4keras2.optimizers.patterns import Patterns
from bert4keras2.optimizers.rules import Composable, Step
from bert4keras2.optimizers.schedules import RelativeStep

__all__ = ["AdaFactor", "factored_axes"]


@register
class AdaFactor(Composable, keras.optimizers.Optimizer):
    """AdaFactor (Shazeer & Stern, arXiv:1804.04235).

    Args:
        learning_rate: a number, a schedule, or None for min(0.01, 1 / sqrt(step)), of which 0.05 is taken where
            steps are not scaled by the size of the weights.
        beta1: decay of the first moment; with 0 none is kept.
        beta2: decay of the second moment; None for 1 - step ** -0.8.
        epsilon1: added to squared gradients.
        epsilon2: least size of a variable that its steps are scaled by.
        multiply_by_parameter_scale: scale steps by the root mean square of the variable.
        clipping_threshold: largest root mean square of a step before scaling; None for no limit.
        min_dim_size_to_factor: a variable is factored if its two largest dimensions are at least this.
        exclude_from_parameter_scale: regular expressions searched in the paths of variables whose steps are not
            scaled by their size.
        name: name of the optimizer.
        **kwargs: of keras.optimizers.Optimizer.

    Raises:
        ValueError: if a pattern is no regular expression.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta1: float = 0.0,
        beta2: float | None = None,
        epsilon1: float = 1e-30,
        epsilon2: float = 0.001,
        multiply_by_parameter_scale: bool = True,
        clipping_threshold: float | None = 1.0,
        min_dim_size_to_factor: int = 128,
        exclude_from_parameter_scale: Iterable[str] | None = None,
        name: str = "AdaFactor",
        **kwargs: Any,
    ):
        if learning_rate is None:
            learning_rate = RelativeStep(1.0 if multiply_by_parameter_scale else 0.05)
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.beta1, self.beta2 = float(beta1), beta2
        self.epsilon1, self.epsilon2 = float(epsilon1), float(epsilon2)
        self.multiply_by_parameter_scale = bool(multiply_by_parameter_scale)
        self.clipping_threshold, self.min_dim_size_to_factor = clipping_threshold, int(min_dim_size_to_factor)
        self.exclude_from_parameter_scale = list(
            Patterns("exclude_from_parameter_scale", exclude_from_parameter_scale).patterns
        )

    def build(self, variables):
        """Create the moments: one per variable, or one of its rows and one of its columns."""
        if self.built:
            return
        super().build(variables)
        excluded = Patterns("exclude_from_parameter_scale", self.exclude_from_parameter_scale).of(variables)
        self._scaled = [self.multiply_by_parameter_scale and not skip for skip in excluded]
        self._axes = [factored_axes(v.shape, self.min_dim_size_to_factor) for v in variables]
        self._second = [
            [self._slot(v, f"v{i}", axis) for i, axis in enumerate(axes or (None,))]
            for v, axes in zip(variables, self._axes, strict=True)
        ]
        self._first = [self._slot(v, "m", None) for v in variables] if self.beta1 else []

    def _slot(self, variable: Any, name: str, axis: int | None) -> Any:
        """Return a slot of a variable's shape, with length 1 along the axis that is averaged."""
        if axis is None:
            return self.add_variable_from_reference(variable, name)
        shape = tuple(1 if i == axis else size for i, size in enumerate(variable.shape))
        title = f"{getattr(variable, 'path', variable.name).replace('/', '_')}_{name}"
        return self.add_variable(shape=shape, dtype=variable.dtype, name=title)

    def step_change(self, step: Step) -> Any:
        """Return what a step subtracts from a variable."""
        dtype, axes = step.variable.dtype, self._axes[step.index]
        if self.beta2 is None:
            beta2 = 1 - ops.power(ops.cast(self.iterations + 1, dtype), ops.cast(-0.8, dtype))
        else:
            beta2 = ops.cast(self.beta2, dtype)
        squares = ops.square(step.gradient) + self.epsilon1
        moments = []
        for slot, axis in zip(self._second[step.index], axes or (None,), strict=True):
            mean = squares if axis is None else ops.mean(squares, axis=axis, keepdims=True)
            moments.append(slot * beta2 + mean * (1 - beta2))
            self.assign(slot, moments[-1])
        if axes:
            rows, columns = moments
            second = rows * columns / ops.mean(rows, axis=axes[1], keepdims=True)
        else:
            second = moments[0]
        change = step.gradient / ops.sqrt(second + self.epsilon1)
        if self.clipping_threshold is not None:
            change = change / ops.maximum(1.0, _rms(change) / self.clipping_threshold)
        if self.beta1:
            first, beta1 = self._first[step.index], ops.cast(self.beta1, dtype)
            change = first * beta1 + change * (1 - beta1)
            self.assign(first, change)
        if self._scaled[step.index]:
            change = change * ops.maximum(_rms(step.value), self.epsilon2)
        return change * step.rate

    def get_config(self) -> dict[str, Any]:
        names = (
            "beta1 beta2 epsilon1 epsilon2 multiply_by_parameter_scale clipping_threshold min_dim_size_to_factor "
            "exclude_from_parameter_scale"
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}


def factored_axes(shape: Sequence[int], least: int) -> tuple[int, int] | None:
    """Return the largest and the second largest axis of a shape, or None if the latter is shorter than `least`."""
    order = sorted(range(len(shape)), key=lambda axis: shape[axis])
    if len(shape) < 2 or shape[order[-2]] < least:
        return None
    return order[-1], order[-2]


def _rms(x: Any) -> Any:
    """Return the root mean square of all entries."""
    return ops.sqrt(ops.mean(ops.square(x)))
