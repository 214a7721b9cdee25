"""Optimizers wrapped around another, and averages of weights kept by a callback, as the first releases had them."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert4keras2.optimizers import extend_with_gradient_accumulation, extend_with_piecewise_linear_lr

__all__ = ["ExponentialMovingAverage", "GradientAccumulation", "PiecewiseLinearLearningRate"]


def _extended(optimizer: Any, extend: Any, **option: Any) -> Any:
    """Return an optimizer like another, with one more rule."""
    optimizer = keras.optimizers.get(optimizer)
    made = extend(type(optimizer))
    return made.from_config({**optimizer.get_config(), **option})


def PiecewiseLinearLearningRate(optimizer: Any, schedule: dict[int, float] | None = None, **kwargs: Any) -> Any:
    """Return an optimizer whose rate follows a schedule; today `extend_with_piecewise_linear_lr` makes its class.

    Args:
        optimizer: an optimizer, or its name.
        schedule: {step: factor}.
        **kwargs: name and the like, of no effect.
    """
    return _extended(optimizer, extend_with_piecewise_linear_lr, lr_schedule={0: 1} if schedule is None else schedule)


def GradientAccumulation(optimizer: Any, steps_per_update: int = 1, **kwargs: Any) -> Any:
    """Return an optimizer that acts on the gradients of several batches; see `extend_with_gradient_accumulation`.

    Args:
        optimizer: an optimizer, or its name.
        steps_per_update: how many batches.
        **kwargs: name and the like, of no effect.
    """
    return _extended(optimizer, extend_with_gradient_accumulation, grad_accum_steps=steps_per_update)


class ExponentialMovingAverage(keras.callbacks.Callback):
    """Keeps an average of a model's weights over its steps; `extend_with_exponential_moving_average` is faster.

    Args:
        momentum: share of the average that stays at each step.
    """

    def __init__(self, momentum: float = 0.999):
        super().__init__()
        self.momentum = momentum

    def on_train_begin(self, logs: Any = None) -> None:
        """Start with the weights as they are."""
        self.old_weights = self.model.get_weights()
        self.ema_weights = [weight.copy() for weight in self.old_weights]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Take the step's weights into the average."""
        for average, weight in zip(self.ema_weights, self.model.weights, strict=True):
            average *= self.momentum
            average += (1 - self.momentum) * ops.convert_to_numpy(weight)

    def apply_ema_weights(self) -> None:
        """Give the model the averages; `reset_old_weights` brings its own back."""
        self.old_weights = self.model.get_weights()
        self.model.set_weights(self.ema_weights)

    def reset_old_weights(self) -> None:
        """Give the model back what it had before `apply_ema_weights`."""
        self.model.set_weights(self.old_weights)
