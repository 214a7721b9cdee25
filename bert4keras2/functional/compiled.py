"""One way to compile a function of a model's layers for the backend at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from bert4keras2.functional.live_values import call_with_live_values

__all__ = ["compiled"]


def compiled(
    function: Callable[..., Any],
    variables: Callable[[], Sequence[Any]],
    jit_compile: bool = True,
    signature: Sequence[Any] | None = None,
) -> Callable[..., Any]:
    """Return a function for inference that the backend compiles: by XLA, as a graph, or not at all.

    The variables are read at each call, so that training between two calls counts.

    Args:
        function: of tensors (in any structure), which calls layers and returns tensors; it assigns to no variable.
        variables: returns what the layers hold. JAX takes their values as arguments, since what is compiled would
            otherwise keep those of the first call.
        jit_compile: on TensorFlow, use XLA, which compiles for each set of shapes; otherwise a graph.
        signature: on TensorFlow, (shape, dtype) of each argument: one graph for all shapes that fit.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        specs = None if signature is None else [tf.TensorSpec(shape, dtype) for shape, dtype in signature]
        return tf.function(function, jit_compile=jit_compile, autograph=False, input_signature=specs)
    if backend == "jax":
        import jax

        def with_values(values: Any, *args: Any) -> Any:
            with keras.StatelessScope(state_mapping=list(zip(variables(), values, strict=True))):
                return function(*args)

        jitted = jax.jit(with_values)
        return lambda *args: call_with_live_values(
            lambda values: jitted(values, *args), lambda: [variable.value for variable in variables()]
        )
    if backend == "torch":
        import torch

        def eager(*args: Any) -> Any:
            with torch.inference_mode():
                return function(*args)

        return eager
    return function
