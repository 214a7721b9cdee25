"""`Resume`: an interrupted `fit` goes on where it was."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import keras
import numpy as np

from bert4keras2.arguments import whole_number
from bert4keras2.callbacks.state import read_state, restore_random, restore_variables, save_random, save_state
from bert4keras2.functional import keras_private

__all__ = ["Resume"]

STATE = "state.npz"


class Resume(keras.callbacks.Callback):
    """Keeps the state of a training run on the disk; the same `fit` in a new process goes on from it.

    Kept are all variables of the model and its optimizer (slots, steps, seeds of dropout), the random generators of
    Python and NumPy, the history, what other callbacks count (EarlyStopping, ReduceLROnPlateau, ModelCheckpoint), the
    epoch, and with `every` the batch. The file is written beside its place and renamed: a kill at any moment leaves a
    whole one, and what was trained after it is trained again.

    A run ends with the weights of an uninterrupted one on arrays (whose order follows from the run's seed and the
    number of the epoch) and on DataGenerators, if `set_seed` comes before them; other iterators have to begin by
    themselves with the epoch that `restore` finds. keras.callbacks.BackupAndRestore keeps weights and epochs alone.

    Args:
        folder: where the state is kept, for one run; it is made. It stays after the run: remove it to train anew.
        reads_only: restore, but keep nothing: for all but one of the processes that train one model.
        every: keep the state after so many batches, too; otherwise at the end of each epoch. On resuming, the batches
            of the epoch that were trained on are read and passed over.

    Attributes:
        epoch, batch: where the run goes on, after `restore`.
        order_seed: what the order of arrays follows from, besides the number of an epoch.
        history: of the whole run, {name in the logs: values}, after `restore` or `fit`.

    Raises:
        ValueError: if `every` is no whole number from 1 on.
        StateError: on resuming, if the file is damaged or of another model.
    """

    def __init__(self, folder: str | os.PathLike, every: int | None = None, reads_only: bool = False):
        super().__init__()
        self.reads_only = reads_only
        self.path = os.path.join(os.fspath(folder), STATE)
        self.every = None if every is None else whole_number("every", every, 1)
        self.epoch = self.batch = 0
        self.history: dict[str, list[float]] = {}
        self.order_seed = 0
        # Of the random generators: where they stood when the epoch began, and where the run was interrupted.
        self._random: list[dict[str, Any]] | None = None
        self._epoch_random: dict[str, Any] = {}
        self._due = False
        self._kept: dict[str, Any] | None = None
        self._restored: Any = None
        self._others: list[Any] = []
        self._current = self._passed = self._finished = 0

    def restore(self, model: keras.Model) -> bool:
        """Give a compiled model what is kept, and return whether there was anything; `fit` does it by itself.

        Args:
            model: the model.
        """
        self._restored = model
        if not os.path.exists(self.path):
            self.order_seed = int(np.random.randint(2**31))
            return False
        meta, values = read_state(self.path)
        for each in self._others:
            if hasattr(each, "state_variables"):
                each.prepare(model)
        restore_variables(self.path, model, meta, values, self._others)
        self.epoch, self.batch, self._random = meta["epoch"], meta["batch"], meta["random"]
        self._kept = {"history": meta["history"], "callbacks": meta["callbacks"]}
        self.history, self.order_seed = meta["history"]["history"], meta["order_seed"]
        return True

    def prepare(self, model: keras.Model) -> None:
        """Restore a model that is about to be trained, unless that is done."""
        if self._restored is not model:
            self.restore(model)

    def follow(self, callbacks: list[Any]) -> None:
        """Keep what other callbacks count, too; `Model.fit` of this library calls it.

        Args:
            callbacks: all callbacks of the run.
        """
        self._others = [callback for callback in callbacks if callback is not self]
        for each in self._others:
            if hasattr(each, "swaps_weights"):
                each.followed = True

    # -- what Keras calls ------------------------------------------------------------------------------------

    def on_train_begin(self, logs: Any = None) -> None:
        """Restore, and let `fit` begin with the epoch that was interrupted."""
        self.prepare(self.model)
        self._restored = None
        self._current, self._passed, self._finished = self.epoch, self.batch, 0
        if self.epoch:
            keras_private.begin_with_epoch(self.model, self.epoch)
        if self.batch:
            pass_over(self.model, self.batch)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """After a restart, give back what others reset at the beginning."""
        self._due = self._kept is None and epoch > self._current
        if self._kept is not None:
            history, kept = self.model.history, self._kept["history"]
            history.epoch, history.history = kept["epoch"], kept["history"]
            for callback, state in zip(self._others, self._kept["callbacks"], strict=False):
                vars(callback).update(state)
            self._kept = None
        if self._random:
            restore_random(self._random[0])
        if epoch > self._current:
            self._passed = 0
        self._current, self._epoch_random = epoch, save_random()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Keep the state before the first batch of an epoch: its order is drawn then, and no batch is trained."""
        if self._random and batch >= self._passed:
            restore_random(self._random[1])
            self._random = None
        if self._due:
            self._due = False
            self._save(self._current, 0)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Keep the state, if it is time."""
        if self.every and batch + 1 > self._passed and (batch + 1) % self.every == 0:
            self._save(self._current, batch + 1)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Note it; other callbacks may still act on this epoch."""
        self._finished = epoch + 1

    def on_train_end(self, logs: Any = None) -> None:
        """Keep the state after the last epoch."""
        if self._finished:
            self._save(self._finished, 0)
            self.history = self.model.history.history
        keras_private.begin_with_epoch(self.model, None)  # a further `fit` in this process says itself where it begins

    def _save(self, epoch: int, batch: int) -> None:
        if self.reads_only:
            return
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        history = self.model.history
        now = save_random()
        meta = {"epoch": epoch, "batch": batch, "random": [now if epoch > self._current else self._epoch_random, now]}
        meta["history"] = {"epoch": history.epoch, "history": _plain(history.history)}
        meta["order_seed"] = self.order_seed
        meta["callbacks"] = [_counted(callback) for callback in self._others]
        with contextlib.ExitStack() as stack:
            for each in self._others:
                if hasattr(each, "own_weights"):
                    stack.enter_context(each.own_weights())
            save_state(self.path, self.model, meta, self._others)


def _plain(value: Any) -> Any:
    """Return a value of logs as JSON takes it."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return float(value)


def _counted(callback: Any) -> dict[str, Any]:
    """Return the numbers, words and switches among a callback's attributes."""
    found = {}
    for name, value in vars(callback).items():
        value = value.item() if isinstance(value, np.generic) else value
        if isinstance(value, bool | int | float | str) or value is None:
            found[name] = value
    return found


def pass_over(model: keras.Model, batches: int) -> None:
    """Let a model's next steps read so many batches and do nothing with them.

    Args:
        model: whose `fit` has made its function for a step already.
        batches: how many.
    """
    step, left = model.train_function, [batches]

    def put(function: Any) -> None:
        # Not by the model's own class, which tells scripts that this function is not for them to replace.
        keras.Model.__setattr__(model, "train_function", function)

    def passing(*args: Any) -> Any:
        if left[0] <= 0:
            put(step)
            return step(*args)
        *state, data = args
        for _ in range(model.steps_per_execution):
            left[0] -= 1
            if keras.backend.backend() != "torch":  # an iterator; on PyTorch the batches themselves
                next(data)
        return ({}, *state) if state else {}

    put(passing)
