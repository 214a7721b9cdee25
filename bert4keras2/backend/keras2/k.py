"""`K`: the functions of Keras 2's `keras.backend` that training scripts call, over keras.ops.

Each takes real tensors, in eager mode and in compiled functions, and the symbolic ones of a functional graph.
"""

from __future__ import annotations

import difflib
import types
from typing import Any

import keras
from keras import ops

from bert4keras2.backend.keras2 import gradients as k_gradients
from bert4keras2.backend.keras2 import losses as k_losses
from bert4keras2.backend.keras2 import math as k_math
from bert4keras2.backend.keras2 import random as k_random
from bert4keras2.backend.keras2 import shapes as k_shapes
from bert4keras2.backend.keras2 import state as k_state

__all__ = ["K"]

_SESSION = "nothing runs in a session any more: take the values with K.eval(x), or K.function(inputs, outputs)"
_NO_CONTROL = "nothing is left to do: variables have their values from the start"

# What belonged to graphs and sessions, and what to do in its place.
GONE = {
    "get_session": _SESSION,
    "set_session": _SESSION,
    "get_graph": _SESSION,
    "manual_variable_initialization": _NO_CONTROL,
    "learning_phase_scope": "pass training=True or training=False when you call the model",
    "tf": "import tensorflow as tf in the script, or use keras.ops, which runs on every backend",
    "foldl": "use keras.ops.scan",
    "foldr": "use keras.ops.scan on the reversed tensor",
    "conv1d": "use keras.ops.conv",
    "conv2d": "use keras.ops.conv",
    "pool2d": "use keras.ops.max_pool or keras.ops.average_pool",
    "normalize_batch_in_training": "use keras.ops.moments and keras.ops.batch_normalization",
    "batch_normalization": "use keras.ops.batch_normalization",
}


class _Namespace(types.ModuleType):
    """A namespace whose missing names say what to use instead."""

    def __init__(self, name: str, doc: str, functions: dict[str, Any]):
        super().__init__(name, doc)
        self.__dict__.update(functions)
        self.__dict__["__all__"] = sorted(functions)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in GONE:
            raise AttributeError(f"K.{name} does not exist in Keras 3: {GONE[name]}")
        if hasattr(keras.backend, name):  # floatx, epsilon, clear_session, ...
            return getattr(keras.backend, name)
        message = f"K has no function {name!r}"
        if hasattr(ops, name):
            raise AttributeError(f"{message}; use keras.ops.{name}")
        close = difflib.get_close_matches(name, [*self.__all__, *dir(keras.backend)], 3)
        close += [f"keras.ops.{other}" for other in difflib.get_close_matches(name, dir(ops), 2)]
        near = f" Close: {', '.join(close)}." if close else ""
        raise AttributeError(f"{message}.{near} All functions on tensors are in keras.ops")

    def __dir__(self) -> list[str]:
        return sorted({*self.__all__, *(name for name in dir(keras.backend) if not name.startswith("_"))})

    def __repr__(self) -> str:
        return f"<K: Keras 2's backend functions on Keras {keras.__version__}>"


K = _Namespace(
    "bert4keras2.backend.K",
    __doc__,
    {
        name: getattr(part, name)
        for part in (k_shapes, k_math, k_losses, k_state, k_random, k_gradients)
        for name in part.__all__
    },
)
