"""Activations by name, and which formula the name "gelu" stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from bert4keras2.backend.registry import register

__all__ = ["gelu_erf", "gelu_tanh", "get_activation", "leaky_relu", "set_gelu", "swish", "resolve_activation"]

_GELU_VERSION = "erf"


@register
def gelu_erf(x):
    """Return the exact Gaussian error linear unit of `x` (Hendrycks & Gimpel, arXiv:1606.08415)."""
    return ops.gelu(x, approximate=False)


@register
def gelu_tanh(x):
    """Return the tanh approximation of the Gaussian error linear unit of `x` (arXiv:1606.08415)."""
    return ops.gelu(x, approximate=True)


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


def set_gelu(version: str) -> None:
    """Choose what the name "gelu" means in layers created from now on.

    Args:
        version: "erf" (the exact formula, the default) or "tanh" (the approximation).

    Raises:
        ValueError: for any other version.
    """
    global _GELU_VERSION
    if str(version).lower() not in ("erf", "tanh"):
        raise ValueError(f"set_gelu() takes 'erf' or 'tanh', not {version!r}")
    _GELU_VERSION = str(version).lower()


def resolve_activation(activation: Any) -> Any:
    """Return `activation` with the name "gelu" replaced by the version in force, ready for a layer's config.

    A layer keeps the resolved name, so a saved model does not depend on later calls of `set_gelu`.
    """
    if activation == "gelu":
        return f"gelu_{_GELU_VERSION}"
    if activation is None:
        return "linear"
    return activation


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
