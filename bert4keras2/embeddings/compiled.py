"""A model as a function from arrays to an array, compiled once for each shape at most."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

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
        make: dict[str, Callable[..., Any]] = {"tensorflow": self._tensorflow, "jax": self._jax, "torch": self._torch}
        self._function = make[backend](jit_compile) if backend in make else self._forward

    def __call__(self, arrays: list[np.ndarray]) -> np.ndarray:
        """Return the model's output for int32 arrays (B, T)."""
        return keras.ops.convert_to_numpy(self._function(*arrays))

    def _forward(self, *arrays: Any) -> Any:
        return self.model(list(arrays) if len(arrays) > 1 else arrays[0], training=False)

    def _tensorflow(self, jit_compile: bool) -> Callable[..., Any]:
        import tensorflow as tf

        if jit_compile:
            return tf.function(self._forward, jit_compile=True)
        signature = [tf.TensorSpec((None, None), "int32") for _ in self.model.inputs]
        return tf.function(self._forward, input_signature=signature)

    def _jax(self, jit_compile: bool) -> Callable[..., Any]:
        import jax

        model = self.model

        @jax.jit
        def step(trainable: Any, fixed: Any, *arrays: Any) -> Any:
            inputs = list(arrays) if len(arrays) > 1 else arrays[0]
            return model.stateless_call(trainable, fixed, inputs, training=False)[0]

        def run(*arrays: Any) -> Any:
            values = ([v.value for v in group] for group in (model.trainable_variables, model.non_trainable_variables))
            return step(*values, *arrays)

        return run

    def _torch(self, jit_compile: bool) -> Callable[..., Any]:
        import torch

        def run(*arrays: Any) -> Any:
            with torch.inference_mode():
                return self._forward(*(keras.ops.convert_to_tensor(array) for array in arrays))

        return run
