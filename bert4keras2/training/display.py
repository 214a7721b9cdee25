"""What `fit`, `evaluate` and `predict` print: one bar for each epoch, and one line where nobody looks on."""

from __future__ import annotations

import sys
from typing import Any

import keras

from bert4keras2.progress import interactive
from bert4keras2.training.callbacks import listed

__all__ = ["show_once"]

# What these add to the logs of an epoch is shown by the bar, so they stand before it.
SHOWN_BY_THE_BAR = (keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau)


def show_once(given: dict[str, Any], trains: bool = False) -> None:
    """Change the arguments of one of Keras' methods so that each epoch, or pass, is shown once.

    `verbose="auto"` is a bar where someone looks on, and otherwise one line: the same bar over and over is no log.

    Args:
        given: {argument: value}, changed in place.
        trains: whether the method has callbacks that print: the bar is put before them.
    """
    if given.get("verbose", "auto") == "auto":
        given["verbose"] = 1 if interactive(sys.stdout) else 2
    if trains and given["verbose"]:
        given["callbacks"] = _with_bar(given.get("callbacks"))


def _with_bar(given: Any) -> Any:
    """Return callbacks with the bar among them, where Keras 2 had it.

    Keras 3 puts it last: what a callback prints at the end of an epoch then comes into the middle of the bar, and the
    bar once more after it.
    """
    if not given or isinstance(given, keras.callbacks.CallbackList):
        return given
    found = listed(given)
    if any(isinstance(one, keras.callbacks.ProgbarLogger) for one in found):
        return given
    bar = keras.callbacks.ProgbarLogger()
    bar.async_safe = True  # as Keras' own: steps do not wait for it
    first = next((i for i, one in enumerate(found) if not _is_shown(one)), len(found))
    return [*found[:first], bar, *found[first:]]


def _is_shown(callback: Any) -> bool:
    """Whether the bar is to show what a callback adds to the logs; one of `bert4keras2.callbacks` says so itself."""
    return isinstance(callback, SHOWN_BY_THE_BAR) or getattr(callback, "shown_by_the_bar", False)
