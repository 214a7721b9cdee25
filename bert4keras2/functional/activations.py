"""Activations by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from bert4keras2.families.activation_names import resolve_activation, set_gelu
from bert4keras2.functional.functions import is_torch_tensor
from bert4keras2.functional.registry import register

__all__ = ["gelu_erf", "gelu_tanh", "get_activation", "leaky_relu", "set_gelu", "swish", "resolve_activation"]


@register
def gelu_erf(x):
    """Return the exact Gaussian error linear unit of `x` (Hendrycks & Gimpel, arXiv:1606.08415)."""
    return _gelu(x, approximate=False)


@register
def gelu_tanh(x):
    """Return the tanh approximation of the Gaussian error linear unit of `x` (arXiv:1606.08415)."""
    return _gelu(x, approximate=True)


def _gelu(x, approximate: bool):
    if is_torch_tensor(x):  # Keras looks through arguments first, which takes longer than this does for one token
        from torch.nn.functional import gelu

        return gelu(x, approximate="tanh" if approximate else "none")
    return ops.gelu(x, approximate=approximate)


@register
def swish(x):
    """Return `x * sigmoid(x)` (Ramachandran et al., arXiv:1710.05941)."""
    return ops.silu(x)


@register
def leaky_relu(x, alpha: float = 0.2):
    """Return `x` where positive and `alpha * x` elsewhere."""
    return ops.leaky_relu(x, alpha)


_BY_NAME: dict[str, Callable] = {
    "gelu_erf": gelu_erf,
    "gelu_tanh": gelu_tanh,
    "gelu_new": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "swish": swish,
    "silu": swish,
    "leaky_relu": leaky_relu,
}


def get_activation(activation: Any) -> Callable:
    """Return the function for an activation's name, configuration or callable.

    Args:
        activation: a name ("gelu" follows `set_gelu`), a Keras configuration, a callable or None (linear).

    Raises:
        ValueError: if Keras does not know the name either.
    """
    activation = resolve_activation(activation)
    if isinstance(activation, str) and activation in _BY_NAME:
        return _BY_NAME[activation]
    try:
        return keras.activations.get(activation)
    except ValueError as error:
        known = sorted({"gelu", "linear", "relu", "tanh", "softmax", "sigmoid", *_BY_NAME})
        raise ValueError(f"Unknown activation {activation!r}; known are {', '.join(known)} and Keras' own") from error
