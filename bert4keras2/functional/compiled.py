"""One way to compile a function of a model's layers for the backend at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from bert4keras2.functional.live_values import call_with_live_values

__all__ = ["compiled", "structure_changed", "structure_version"]

# How often layers have got or lost parts: what was compiled before shows what they were.
_CHANGES = [0]


def structure_changed() -> None:
    """Let all that was compiled be compiled anew when it is next called: layers have got parts, as by LoRA."""
    _CHANGES[0] += 1


def structure_version() -> int:
    """Return a number that is another one once layers have got or lost parts."""
    return _CHANGES[0]


def compiled(
    function: Callable[..., Any],
    variables: Callable[[], Sequence[Any]],
    jit_compile: bool = True,
    signature: Sequence[Any] | None = None,
) -> Callable[..., Any]:
    """Return a function for inference that the backend compiles: by XLA, as a graph, or not at all.

    The variables are read at each call, so that training between two calls counts; what has come into layers since
    (adapters, LoRA's matrices) counts too.

    Args:
        function: of tensors (in any structure), which calls layers and returns tensors; it assigns to no variable.
        variables: returns what the layers hold. JAX takes their values as arguments, since what is compiled would
            otherwise keep those of the first call.
        jit_compile: on TensorFlow, use XLA, which compiles for each set of shapes; otherwise a graph.
        signature: on TensorFlow, (shape, dtype) of each argument: one graph for all shapes that fit.
    """
    made: list[Any] = [-1, None]

    def call(*args: Any) -> Any:
        if made[0] != _CHANGES[0]:
            made[:] = _CHANGES[0], _for_backend(function, variables, jit_compile, signature)
        return made[1](*args)

    return call


def _for_backend(
    function: Callable[..., Any],
    variables: Callable[[], Sequence[Any]],
    jit_compile: bool,
    signature: Sequence[Any] | None,
) -> Callable[..., Any]:
    """Return the function as the backend compiles it; arguments as for `compiled`."""
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
