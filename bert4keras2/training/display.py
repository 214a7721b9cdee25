"""What `fit`, `evaluate` and `predict` print: one bar for each epoch, and one line where nobody looks on."""

from __future__ import annotations

import sys
from typing import Any

import keras

from bert4keras2.progress import interactive

__all__ = ["with_display"]

# What these add to the logs of an epoch is shown by the bar, so they stand before it.
SHOWN_BY_THE_BAR = (keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau)


def with_display(
    place: int, args: tuple, kwargs: dict[str, Any], callbacks: bool = False
) -> tuple[tuple, dict[str, Any]]:
    """Return the arguments of one of Keras' methods so that each epoch, or pass, is shown once.

    `verbose="auto"` is a bar where someone looks on, and otherwise one line: the same bar over and over is no log.

    Args:
        place: of `verbose` among the positional arguments.
        args, kwargs: of the call.
        callbacks: whether the method trains: `callbacks` follow `verbose`, and the bar is put before those that print.
    """
    verbose = args[place] if len(args) > place else kwargs.get("verbose", "auto")
    if verbose == "auto":
        verbose = 1 if interactive(sys.stdout) else 2
        args, kwargs = _replaced(place, "verbose", verbose, args, kwargs)
    if callbacks and verbose:
        given = args[place + 1] if len(args) > place + 1 else kwargs.get("callbacks")
        args, kwargs = _replaced(place + 1, "callbacks", _with_bar(given), args, kwargs)
    return args, kwargs


def _replaced(place: int, name: str, value: Any, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    if len(args) > place:
        return (*args[:place], value, *args[place + 1 :]), kwargs
    return args, {**kwargs, name: value}


def _with_bar(given: Any) -> Any:
    """Return callbacks with the bar among them, where Keras 2 had it.

    Keras 3 puts it last: what a callback prints at the end of an epoch then comes into the middle of the bar, and the
    bar once more after it.
    """
    if not given or isinstance(given, keras.callbacks.CallbackList):
        return given
    found = keras.tree.flatten(given)
    if any(isinstance(one, keras.callbacks.ProgbarLogger) for one in found):
        return given
    bar = keras.callbacks.ProgbarLogger()
    bar.async_safe = True  # as Keras' own: steps do not wait for it
    first = next((i for i, one in enumerate(found) if not isinstance(one, SHOWN_BY_THE_BAR)), len(found))
    return [*found[:first], bar, *found[first:]]
