"""The part of `K` that differentiates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from bert4keras2.backend.keras2.shapes import is_symbolic
from bert4keras2.functional import keras_private
from bert4keras2.training.train_functions import TotalLoss

__all__ = ["gradients"]

_OTHERWISE = (
    "adversarial_training, gradient_penalty and virtual_adversarial_training of bert4keras2.training work on every"
    " backend; for other gradients write a train_step (tf.GradientTape, jax.grad, torch.autograd)"
)


def gradients(loss: Any, variables: Any) -> list[Any]:
    """Return the gradients of a loss with respect to tensors or variables that it was computed from.

    On TensorFlow this works in what is compiled: losses, and layers that run in `fit`, `evaluate` and `predict`.
    On PyTorch it works where gradients are kept, as in `fit`. Of `model.total_loss` it works everywhere, with
    `K.function` to compute it.

    Args:
        loss: a tensor, the sum of which is differentiated, or `model.total_loss`.
        variables: a tensor or variable, or a list of them.

    Returns:
        A list of gradients, None for what the loss does not depend on; on TensorFlow those of tables may be
        `tf.IndexedSlices`.

    Raises:
        NotImplementedError: where the backend does not keep what it would take.
    """
    listed: Sequence[Any] = variables if isinstance(variables, list | tuple) else [variables]
    if isinstance(loss, TotalLoss):
        return loss.gradients(listed)
    if is_symbolic(loss, *listed):
        raise NotImplementedError(
            "K.gradients of symbolic tensors: call it inside of a layer's call, on TensorFlow, or see"
            f" bert4keras2.pictures.token_attribution for integrated gradients; {_OTHERWISE}"
        )
    values = [each.value if isinstance(each, keras.Variable) else each for each in listed]
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        if not tf.executing_eagerly():
            # Keras calls layers without a graph behind them to learn the shapes of their outputs.
            unconnected = "zero" if keras_private.in_stateless_scope() else "none"
            return tf.gradients(loss, values, unconnected_gradients=unconnected)
    if backend == "torch" and loss.requires_grad:
        import torch

        return list(torch.autograd.grad(loss.sum(), values, create_graph=True, allow_unused=True))
    raise NotImplementedError(f"K.gradients does not work here, on {backend}: {_OTHERWISE}")
