"""Names of activations: which formula "gelu" stands for, and what Hugging Face's configurations call them."""

from __future__ import annotations

from typing import Any

__all__ = ["from_huggingface", "resolve_activation", "set_gelu", "to_huggingface"]

_GELU_VERSION = "erf"
# Names there that `get_activation` does not know, and what they compute.
FOREIGN = {
    "gelu_python": "gelu_erf",
    "gelu_fast": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
}
OWN = {"gelu_erf": "gelu", "gelu_tanh": "gelu_new"}
SAME = ("gelu_new", "gelu_pytorch_tanh", "relu", "swish", "silu", "tanh", "sigmoid", "linear", "mish", "relu6")


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


def from_huggingface(name: Any) -> Any:
    """Return our name of an activation in a Hugging Face configuration; what it shares with us as it is."""
    return FOREIGN.get(name, name) if isinstance(name, str) else name


def to_huggingface(activation: Any) -> str:
    """Return Hugging Face's name of an activation.

    Raises:
        ValueError: if it has none.
    """
    name = resolve_activation(activation)
    if not isinstance(name, str) or name not in OWN and name not in SAME:
        raise ValueError(f"The activation {activation!r} has no name in Hugging Face's configurations")
    return OWN.get(name, name)
