"""Gradients of functions of tensors, in one form for the three backends."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras import ops

__all__ = [
    "dense",
    "random_state",
    "restore_random_state",
    "squared_gradient",
    "twice_differentiable",
    "value_and_gradients",
    "value_of",
]


def value_and_gradients(
    function: Callable[[list[Any]], tuple[Any, Any]], values: list[Any], higher_order: bool = False
) -> tuple[Any, Any, list[Any]]:
    """Return a function's value, what else it returns, and the gradients of the value.

    Calls may be nested: the gradients of an inner call can be differentiated by an outer one.

    Args:
        function: takes the list of tensors, returns a scalar and anything else.
        values: floating tensors.
        higher_order: whether the gradients will be differentiated themselves.

    Returns:
        value: a scalar.
        aux: what the function returns besides.
        gradients: one for each of `values`; None (zeros on JAX) where the value does not depend on it. On TensorFlow
            the gradient of a table may be `IndexedSlices`.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        (value, aux), gradients = jax.value_and_grad(function, has_aux=True)(list(values))
    elif backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            value, aux = function(list(values))
        gradients = tape.gradient(value, values)
    else:
        import torch

        values = [value if value.requires_grad else value.detach().requires_grad_() for value in values]
        value, aux = function(list(values))
        gradients = torch.autograd.grad(value, values, create_graph=higher_order, allow_unused=True)
    return value, aux, list(gradients)


def value_of(variable: Any) -> Any:
    """Return a variable's value as a tensor; on PyTorch the parameter itself, which gradients lead to."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.convert_to_tensor(variable.value)
    return variable.value


def dense(gradient: Any) -> Any:
    """Return a gradient as a float32 tensor; TensorFlow's slices of a table as the whole table, repeated rows added."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        gradient = tf.convert_to_tensor(gradient)
    return ops.cast(gradient, "float32")


def squared_gradient(x: Any, probe: Any) -> Any:
    """Return x unchanged, such that the gradient of `probe` is the sum of the squares of the gradient of x.

    The gradient with respect to tensors inside of a model thus becomes that of a scalar outside of it, whatever their
    shapes, and can be differentiated once more.

    Args:
        x: a floating tensor.
        probe: a float32 scalar.
    """

    @ops.custom_gradient
    def identity(x, probe):
        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            return upstream, ops.sum(ops.square(ops.cast(upstream, "float32")))

        return ops.multiply(x, 1), gradient

    return identity(x, probe)


@contextlib.contextmanager
def twice_differentiable() -> Iterator[None]:
    """A context in which attention on PyTorch uses operations that have second derivatives; fused kernels have none."""
    if keras.backend.backend() != "torch":
        yield
        return
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with sdpa_kernel([SDPBackend.MATH]):
        yield


def random_state() -> Any:
    """Return the state of PyTorch's own generators, which dropout without a seed draws from; None elsewhere."""
    if keras.backend.backend() != "torch":
        return None
    import torch

    return torch.get_rng_state(), torch.cuda.get_rng_state() if torch.cuda.is_available() else None


def restore_random_state(state: Any) -> None:
    """Go back to what `random_state` returned."""
    if state is None:
        return
    import torch

    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1])
