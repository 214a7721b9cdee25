"""`EMA` and `SWA`: averages of the weights that take their places while a model is evaluated and saved."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from bert4keras2.arguments import whole_number
from bert4keras2.functional import keras_private

__all__ = ["EMA", "SWA"]


class Averages(keras.callbacks.Callback):
    """What both have in common: when weights are swapped.

    Args:
        keep: leave the averages in the model at the end of training; otherwise its own weights.
    """

    #: `fit` puts such callbacks first, so that all others meet the averages when an epoch ends.
    swaps_weights = True

    def __init__(self, keep: bool = True):
        super().__init__()
        self.keep = keep
        #: How many weights have been averaged.
        self.updates = 0
        #: Whether a callback that keeps the run's state asks for the model's own weights after training.
        self.followed = False
        self._averages: list[Any] = []
        self._variables: list[Any] = []
        self._own: list[np.ndarray] | None = None
        self._update: Callable[[float], None] | None = None
        self._in_fit = False

    # -- averages --------------------------------------------------------------------------------------------

    def prepare(self, model: keras.Model) -> None:
        """Make the averages of a model's trainable weights, unless that is done."""
        variables = list(model.trainable_variables)
        if [id(v) for v in variables] == [id(v) for v in self._variables]:
            return
        self._variables, self.updates = variables, 0
        self._averages = [
            keras.Variable(ops.zeros(v.shape, "float32"), trainable=False, dtype="float32", name="average")
            for v in variables
        ]
        self._update = _updating(self._averages, variables)

    def state_variables(self) -> list[Any]:
        """Return what `Resume` keeps besides the model's variables."""
        return list(self._averages)

    def average(self, share: float) -> None:
        """Let the averages go a share of the way to the weights."""
        self._update(share)
        self.updates += 1

    def scale(self) -> float:
        """Return what the averages are divided by."""
        return 1.0

    # -- swapping --------------------------------------------------------------------------------------------

    def swap_in(self) -> bool:
        """Give the model the averages; return whether that has changed anything."""
        if self._own is not None or not self.updates:
            return False
        self._own = [np.array(ops.convert_to_numpy(variable)) for variable in self._variables]
        scale = self.scale()
        for variable, average in zip(self._variables, self._averages, strict=True):
            variable.assign(ops.cast(ops.convert_to_tensor(average) / scale, variable.dtype))
        return True

    def swap_out(self) -> None:
        """Give the model its own weights back, exactly."""
        if self._own is not None:
            for variable, value in zip(self._variables, self._own, strict=True):
                variable.assign(value)
            self._own = None

    @contextlib.contextmanager
    def own_weights(self) -> Iterator[None]:
        """A context in which the model has its own weights: what a run that goes on begins with."""
        swapped = self._own is not None
        self.swap_out()
        try:
            yield
        finally:
            if swapped:
                self.swap_in()

    # -- what Keras calls ------------------------------------------------------------------------------------

    def on_train_begin(self, logs: Any = None) -> None:
        """Make what is needed."""
        self._own = None  # training goes on from what the model has
        self.prepare(self.model)
        self._in_fit = True

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Train the model's own weights."""
        self.swap_out()

    def on_test_begin(self, logs: Any = None) -> None:
        """Validate the averages."""
        if self._in_fit:
            self.swap_in()

    def on_test_end(self, logs: Any = None) -> None:
        """Go on with the model's own weights."""
        if self._in_fit:
            self.swap_out()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Let other callbacks evaluate and save the averages."""
        self.swap_in()

    def on_train_end(self, logs: Any = None) -> None:
        """Leave the model as `keep` says."""
        self._in_fit = False
        if not self.keep:
            self.swap_out()
        elif not self.followed:
            self._own = None


class EMA(Averages):
    """An exponential moving average of the weights, which stands in for them in validation, saving, and at the end.

        model.fit(..., callbacks=[EMA(0.999), Evaluator(metric, "best_model.weights")])

    The average a starts at zero and becomes momentum * a + (1 - momentum) * weights after each step of the optimizer;
    it is divided by 1 - momentum ** steps where it is put in. That is what the optimizers of
    `extend_with_exponential_moving_average` keep; this callback goes with any optimizer. `fit` puts it before other
    callbacks; in a keras.Model that is not of this library, put it first.

    Args:
        momentum: share of the old average that a step keeps, in [0, 1).
        keep: leave the average in the model at the end of training; otherwise its own weights.

    Raises:
        ValueError: if `momentum` is out of range, or the optimizer averages by itself.
    """

    def __init__(self, momentum: float = 0.999, keep: bool = True):
        super().__init__(keep)
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum lies from 0 to below 1; got {momentum!r}")
        self.momentum = float(momentum)
        self._batches = 0

    def prepare(self, model: keras.Model) -> None:
        """Make the averages, and see that nothing else averages."""
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        if getattr(optimizer, "use_ema", False) or hasattr(optimizer, "apply_ema_weights"):
            raise ValueError(
                "the optimizer keeps an average of the weights already: leave out the callback EMA, or use_ema and"
                " extend_with_exponential_moving_average"
            )
        super().prepare(model)

    def scale(self) -> float:
        """Return what makes up for the start at zero."""
        return 1 - self.momentum**self.updates

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Average the weights, if the optimizer has made a step."""
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        self._batches += 1
        if self._batches % (optimizer.gradient_accumulation_steps or 1) == 0:
            self.average(1 - self.momentum)


class SWA(Averages):
    """The plain mean of the weights at the ends of the later epochs (stochastic weight averaging, arXiv:1803.05407).

    It stands in for the weights in validation, saving, and at the end, as `EMA` does. A learning rate that stays high
    in these epochs lets the weights differ; batch normalization, which the models of this library do not have, would
    need its statistics anew.

    Args:
        start_epoch: the first epoch, from 0, whose weights count.
        every: take the weights after so many batches of these epochs; at their ends if None.
        keep: leave the mean in the model at the end of training; otherwise its own weights.

    Raises:
        ValueError: if a number is out of range.
    """

    def __init__(self, start_epoch: int = 0, every: int | None = None, keep: bool = True):
        super().__init__(keep)
        self.start_epoch = whole_number("start_epoch", start_epoch, 0)
        self.every = None if every is None else whole_number("every", every, 1)
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Train the model's own weights."""
        super().on_epoch_begin(epoch, logs)
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Take the weights, if it is time."""
        if self.every and self._epoch >= self.start_epoch and (batch + 1) % self.every == 0:
            self.average(1 / (self.updates + 1))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Take the weights, and let other callbacks evaluate and save their mean."""
        if not self.every and epoch >= self.start_epoch:
            self.average(1 / (self.updates + 1))
        super().on_epoch_end(epoch, logs)


def _updating(averages: list[Any], variables: list[Any]) -> Callable[[float], None]:
    """Return a function that lets averages go a share of the way to variables, as one compiled step of the backend."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        @tf.function(autograph=False)
        def step(share: Any) -> None:
            for average, variable in zip(averages, variables, strict=True):
                average.assign_add(share * (tf.cast(variable.value, "float32") - average.value))

        return lambda share: step(tf.constant(share, "float32"))
    if backend == "jax":
        import jax

        @jax.jit
        def moved(before: list[Any], values: list[Any], share: Any) -> list[Any]:
            return [a + share * (v.astype("float32") - a) for a, v in zip(before, values, strict=True)]

        def update(share: float) -> None:
            values = [variable.value for variable in variables]
            keras_private.set_raw_values(averages, moved([a.value for a in averages], values, share))

        return update
    import torch

    def in_place(share: float) -> None:
        with torch.no_grad():
            for average, variable in zip(averages, variables, strict=True):
                average.value.add_(variable.value.float() - average.value, alpha=share)

    return in_place
