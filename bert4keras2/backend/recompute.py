"""RECOMPUTE=1: keep less in memory while training, by computing the blocks' layers a second time for the gradients."""

from __future__ import annotations

import contextlib
import os
import warnings
from typing import Any

import keras

__all__ = ["recomputed"]


def recomputed(*names: str) -> contextlib.AbstractContextManager[Any]:
    """Return a context in which layers of these names are created as ones to compute twice, if RECOMPUTE=1 is set.

    Works on PyTorch. On TensorFlow and JAX, Keras' own rematerialization (3.15) cannot take layers that are told
    whether they train, get boolean masks or draw random numbers; there a warning says that nothing is saved.

    Args:
        *names: names of the layers to be created; layers inside of them are part of them.

    Warns:
        RuntimeWarning: if RECOMPUTE=1 is set and cannot be followed.
    """
    if os.environ.get("RECOMPUTE", "0").lower() not in ("1", "true", "yes", "on"):
        return contextlib.nullcontext()
    backend = keras.backend.backend()
    if backend == "torch" and hasattr(keras, "RematScope"):
        return keras.RematScope(mode="list_of_layers", layer_names=list(names))
    reason = (
        f"is not supported on {backend}" if backend != "torch" else f"needs Keras 3.10, this is {keras.__version__}"
    )
    warnings.warn(
        f"RECOMPUTE=1 {reason}: the model trains with the memory that it needs without it. To need less, take smaller"
        " batches with gradient accumulation (bert4keras2.optimizers), mixed precision, or the PyTorch backend",
        RuntimeWarning,
        stacklevel=2,
    )
    return contextlib.nullcontext()
