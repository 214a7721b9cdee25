"""A model as a function from arrays to an array, compiled once for each shape at most."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from bert4keras2.functional.compiled import compiled

__all__ = ["Compiled"]


class Compiled:
    """A model of one output in inference mode; it follows the training of its weights.

    On JAX it is compiled for each shape. On TensorFlow it is one graph for all shapes unless XLA is asked for, which
    takes seconds for each shape; on PyTorch it runs as it is, in inference mode.

    Args:
        model: a functional model of int32 inputs (B, T).
        jit_compile: use XLA on TensorFlow.
    """

    def __init__(self, model: Any, jit_compile: bool = False):
        self.model = model
        backend = keras.backend.backend()
        #: Whether each new shape costs a compilation.
        self.by_shape = backend == "jax" or (backend == "tensorflow" and jit_compile)
        #: What decides about it, for other functions of the same model.
        self.how = self.by_shape, jit_compile
        signature = None if jit_compile else [((None, None), "int32") for _ in model.inputs]
        self._function = compiled(self._forward, lambda: self.model.variables, jit_compile, signature)

    def __call__(self, arrays: list[np.ndarray]) -> np.ndarray:
        """Return the model's output for int32 arrays (B, T)."""
        tensors = [keras.ops.convert_to_tensor(array) for array in arrays]
        return keras.ops.convert_to_numpy(self._function(*tensors))

    def _forward(self, *tensors: Any) -> Any:
        return self.model(list(tensors) if len(tensors) > 1 else tensors[0], training=False)
