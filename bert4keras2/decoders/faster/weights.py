"""What of a model is prepared for the steps of decoding on PyTorch, and which matrices may be read in fewer bits."""

from __future__ import annotations

from typing import Any

import keras

from bert4keras2.functional.keras_private import inner_layers, own_variables, raw_kernel
from bert4keras2.functional.prepared import (
    JointProduct,
    Recipe,
    TableFunction,
    addition,
    narrow_product,
    normalization,
    product,
)
from bert4keras2.layers import Add, Embedding, LayerNormalization, MultiHeadAttention
from bert4keras2.layers.direct import InnerDense, usual_type

__all__ = ["check_weights", "recipes_of"]

# Up to which width matrices are joined: what is joined is a copy, and calls count most where products are small.
JOINT_WIDTH = 1024


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


def recipes_of(transformer: Any, narrow: bool) -> list[Recipe]:
    """Return how layers are prepared for a step: the Dense layers within blocks, tables of tokens, normalizations.

    Args:
        transformer: the model.
        narrow: read matrices in bfloat16.
    """
    layers = [inner for layer in transformer.layers.values() for inner in inner_layers(layer, include_self=True)]
    found = [*(_recipe(layer, narrow) for layer in layers), *(_joint_recipe(layer, narrow) for layer in layers)]
    # Of two for a layer, the joint one counts.
    return list({id(recipe.layer): recipe for recipe in found if recipe is not None}.values())


def _recipe(layer: Any, narrow: bool) -> Recipe | None:
    """Return how a layer is prepared, None where it has to be called."""
    dtype = usual_type(layer)
    if dtype is None or (dtype != "float32" and not narrow):
        return None
    if type(layer) is InnerDense and not layer.lora_enabled:
        make = narrow_product if narrow else product
        return Recipe(layer, _weights(layer), lambda kernel, bias=None: make(kernel.t(), bias))
    if type(layer) is Embedding and not layer.lora_enabled and layer.prompt is None:
        scores, rows = narrow and layer.name.endswith("Embedding-Token"), dtype == "float32"
        return Recipe(layer, own_variables(layer), lambda table: TableFunction(table, scores, rows))
    if dtype != "float32":
        return None
    if type(layer) is Add:
        return Recipe(layer, [], addition)
    if type(layer) is LayerNormalization and layer.is_standard:
        return Recipe(layer, [layer.gamma, layer.beta], lambda gamma, beta: normalization(gamma, beta, layer.epsilon))
    return None


def _weights(layer: Any) -> list[Any]:
    """Return the kernel of a Dense layer, and the bias if it has one."""
    return [raw_kernel(layer), *([] if layer.bias is None else [layer.bias])]


def _joint_recipe(layer: Any, narrow: bool) -> Recipe | None:
    """Return how the first of an attention layer's three projections is prepared to do the work of all of them."""
    if type(layer) is not MultiHeadAttention or layer.key_size != layer.head_size:
        return None
    parts = [layer.q_dense, layer.k_dense, layer.v_dense]
    widths = {raw_kernel(part).shape for part in parts}
    wide = not narrow and layer.heads * layer.head_size > JOINT_WIDTH
    if wide or len(widths) > 1 or any(_recipe(part, narrow) is None for part in parts):
        return None
    count = len(_weights(parts[0]))

    def make(*tensors: Any) -> JointProduct:
        weights = [tensors[place : place + count] for place in range(0, len(tensors), count)]
        pairs = [(kernel.t(), *bias) if bias else (kernel.t(), None) for kernel, *bias in weights]
        return JointProduct(narrow_product if narrow else product, pairs)

    return Recipe(parts[0], [weight for part in parts for weight in _weights(part)], make)
