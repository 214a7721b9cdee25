"""`Evaluator`: a measure after each epoch, and the weights of the best one."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import Any

import keras

__all__ = ["Evaluator"]


class Evaluator(keras.callbacks.Callback):
    """Works out a measure after each epoch, shows it, and keeps the weights of the epoch where it was best.

        evaluator = Evaluator(lambda model: accuracy(labels, predict(model, rows)), "best_model.weights")
        model.fit(..., callbacks=[evaluator])

    At the end of training the model has its best weights. The measure stands in the history as "val_" and its name.

    Args:
        metric: called with the model; returns a number, or {name: number}, of which the first counts.
        best_path: file that the best weights are written to, under any name; kept in memory if None. Beside `Resume` it
            has to be a file, so that a run that goes on still has them.
        name: of the measure, where `metric` returns a number.
        mode: "max" if more is better, "min" if less is.
        restore: give the model its best weights at the end.

    Attributes:
        best: the best value, None before the first epoch.
        best_epoch: the epoch that it is of, from 0.

    Raises:
        ValueError: if `mode` is another.
        TypeError: after an epoch, if the measure is no number.
    """

    #: `fit` puts its bar behind this callback, so that the measure stands in it.
    shown_by_the_bar = True

    def __init__(
        self,
        metric: Callable[[Any], float | Mapping[str, float]],
        best_path: str | os.PathLike | None = None,
        name: str = "score",
        mode: str = "max",
        restore: bool = True,
    ):
        super().__init__()
        if mode not in ("max", "min"):
            raise ValueError(f"mode is 'max' or 'min', not {mode!r}")
        if not callable(metric):
            raise TypeError(f"metric is a function of the model, not {type(metric).__name__}")
        self.metric, self.best_path = metric, None if best_path is None else os.fspath(best_path)
        self.name, self.mode, self.restore = name, mode, restore
        self.best: float | None = None
        self.best_epoch: int | None = None
        self._kept: list[Any] | None = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Work the measure out, and keep the weights if it is the best so far."""
        found = self.metric(self.model)
        values = dict(found) if isinstance(found, Mapping) else {self.name: found}
        try:
            values = {name: float(value) for name, value in values.items()}
            value = next(iter(values.values()))
        except (TypeError, ValueError, StopIteration):
            raise TypeError(f"metric returns a number or {{name: number}}, not {found!r:.200}") from None
        if logs is not None:
            logs.update({f"val_{name}": number for name, number in values.items()})
        if self._is_better(value):
            self.best, self.best_epoch = value, epoch
            if self.best_path is None:
                self._kept = self.model.get_weights()
            else:
                self.model.save_weights(self.best_path)

    def on_train_end(self, logs: Any = None) -> None:
        """Give the model its best weights."""
        if not self.restore or self.best_epoch is None:
            return
        if self.best_path is not None:
            self.model.load_weights(self.best_path)
        elif self._kept is not None:
            self.model.set_weights(self._kept)
            self._kept = None

    def _is_better(self, value: float) -> bool:
        if math.isnan(value):
            return False
        return self.best is None or (value > self.best if self.mode == "max" else value < self.best)
