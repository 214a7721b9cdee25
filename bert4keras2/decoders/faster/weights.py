"""Which matrices of a model decoding may read in fewer bits, and where that is possible."""

from __future__ import annotations

from typing import Any

import keras

from bert4keras2.functional.keras_private import inner_layers, own_variables
from bert4keras2.layers import Embedding
from bert4keras2.layers.direct import InnerDense

__all__ = ["check_weights", "matrices_of"]


def check_weights(weights: str | None) -> bool:
    """Return whether decoding reads narrow copies of matrices.

    Args:
        weights: "bfloat16" or None.

    Raises:
        ValueError: for anything else, or on a backend without such products.
    """
    if weights is None:
        return False
    if weights != "bfloat16":
        hint = (
            ". PyTorch has no public product of float activations and int8 weights; a model exported as ONNX with "
            "int8=True has int8 weights"
            if weights == "int8"
            else ""
        )
        raise ValueError(f"weights is 'bfloat16', or None for the model's own, not {weights!r}{hint}")
    if keras.backend.backend() != "torch":
        raise ValueError(
            f"weights='bfloat16' needs PyTorch's products (KERAS_BACKEND=torch): on {keras.backend.backend()}, XLA "
            "would widen the matrices again at each step on a CPU. Leave weights out, or take a policy such as "
            "keras.config.set_dtype_policy('mixed_bfloat16') before the model is made"
        )
    return True


def matrices_of(transformer: Any) -> dict[int, tuple[Any, bool]]:
    """Return {id of a layer: (variable, whether it is (inputs, outputs))} of the matrices that a step multiplies with.

    Those are the Dense layers within blocks, and the table of tokens where it scores the vocabulary.
    """
    found: dict[int, tuple[Any, bool]] = {}
    for layer in transformer.layers.values():
        for inner in inner_layers(layer, include_self=True):
            if type(inner) is InnerDense:
                found[id(inner)] = own_variables(inner)[0], True
            elif type(inner) is Embedding and inner.name.endswith("Embedding-Token"):
                found[id(inner)] = own_variables(inner)[0], False
    return found
