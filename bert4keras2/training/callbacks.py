"""Callbacks as scripts for Keras 2 write them, and how `fit` gets callbacks of the library's own."""

from __future__ import annotations

import os
import re
from typing import Any

import keras

__all__ = [
    "Callback",
    "ModelCheckpoint",
    "add_callback",
    "find_keeper",
    "help_monitors",
    "listed",
    "put_averages_first",
]

# How Keras 2 told whether more is better, with the names of scores that scripts use.
MORE_IS_BETTER = re.compile("acc|auc|bleu|corr|f1|f_?measure|f_?score|precision|recall|rouge|spearman", re.IGNORECASE)


class Callback(keras.callbacks.Callback):
    """keras.callbacks.Callback whose `model` scripts may set themselves, before or without `fit`.

    `fit` sets it to the model that it trains, as ever.
    """

    @property
    def model(self) -> Any:
        """The model that is trained, or the one that the script has set."""
        return keras.callbacks.Callback.model.fget(self)

    @model.setter
    def model(self, model: Any) -> None:
        self.set_model(model)


class ModelCheckpoint(keras.callbacks.ModelCheckpoint):
    """keras.callbacks.ModelCheckpoint with files of any name: "best_model.weights", "best.hdf5", "best".

    Args:
        filepath: where to write; epoch and logs may be in it, as in "{epoch:02d}-{val_loss:.2f}.weights".
        monitor, verbose, save_best_only, save_weights_only, mode: as there.
        period: write after every so many epochs.
        **kwargs: what else keras.callbacks.ModelCheckpoint takes.
    """

    def __init__(
        self,
        filepath: str | os.PathLike,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        period: int | str = 1,
        **kwargs: Any,
    ):
        if period == "epoch" or "save_freq" in kwargs:  # Keras 3 has save_freq in this place
            kwargs.setdefault("save_freq", period)
            period = 1
        kwargs.pop("load_weights_on_restart", None)
        accepted = "any.weights.h5" if save_weights_only else "any.keras"
        super().__init__(accepted, monitor, verbose, save_best_only, save_weights_only, mode, **kwargs)
        self.filepath = os.fspath(filepath)
        self.period = period

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write a file if it is time to, and if it is the best so far, where that is asked for."""
        if (epoch + 1) % self.period == 0:
            super().on_epoch_end(epoch, logs)


class _Monitors(keras.callbacks.Callback):
    """Lets callbacks find what they monitor by its name in Keras 2, and tells them whether more of it is better.

    Keras knows that of the metrics that a model was compiled with, not of those that layers report.
    """

    def __init__(self, callbacks: list[Any]):
        super().__init__()
        self.callbacks = callbacks

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = logs or {}
        for callback in self.callbacks:
            name = callback.monitor
            for old, new in (("accuracy", "acc"), ("acc", "accuracy")):
                other = re.sub(rf"{old}$", new, name)
                if name not in logs and other in logs:
                    callback.monitor = name = other
            if name in logs and callback.mode == "auto" and name.removeprefix("val_") not in self._compiled():
                callback.mode = "max" if MORE_IS_BETTER.search(name) else "min"

    def _compiled(self) -> set[str]:
        """Return the names of what Keras knows the direction of: the loss and the metrics of `compile`."""
        found = {"loss"}
        for metric in self.model.metrics:
            found.update(inner.name for inner in getattr(metric, "metrics", ()))
        return found


def listed(callbacks: Any) -> list[Any]:
    """Return the callbacks that `fit` was given, one by one.

    Args:
        callbacks: None, one of them, a list, or a keras.callbacks.CallbackList.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return list(callbacks.callbacks)
    return keras.tree.flatten(callbacks) if callbacks else []


def add_callback(given: dict[str, Any], callback: Any) -> None:
    """Add a callback, which comes first, to the arguments of `fit`; to a CallbackList, where it comes last."""
    callbacks = given.get("callbacks")
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks.append(callback)
    else:
        given["callbacks"] = [callback, *listed(callbacks)]


def put_averages_first(given: dict[str, Any]) -> None:
    """Let callbacks that swap weights (`bert4keras2.callbacks.EMA`) come before those that evaluate and save."""
    if isinstance(given.get("callbacks"), keras.callbacks.CallbackList):
        return  # whose order is the user's
    callbacks = listed(given.get("callbacks"))
    if any(hasattr(each, "swaps_weights") for each in callbacks):
        given["callbacks"] = sorted(callbacks, key=lambda each: not hasattr(each, "swaps_weights"))


def help_monitors(given: dict[str, Any]) -> None:
    """Add help for callbacks that monitor something to the arguments of `fit`."""
    if isinstance(given.get("callbacks"), keras.callbacks.CallbackList):
        return  # it would come too late
    callbacks = listed(given.get("callbacks"))
    watching = [each for each in callbacks if isinstance(getattr(each, "monitor", None), str) and hasattr(each, "mode")]
    if watching:
        add_callback(given, _Monitors(watching))


def find_keeper(given: dict[str, Any], model: Any) -> Any:
    """Return the callback of `fit` that keeps the run (`bert4keras2.callbacks.Resume`), None if there is none.

    It gets to know the others, as it keeps what they count, and has restored the model.

    Args:
        given: the arguments of `fit`.
        model: the model.
    """
    callbacks = listed(given.get("callbacks"))
    keeper = next((each for each in callbacks if hasattr(each, "follow")), None)
    if keeper is not None:
        keeper.follow(callbacks)
        keeper.prepare(model)
    return keeper
