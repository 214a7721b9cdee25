"""LoRA: a frozen encoder learns through products of two thin matrices beside its own."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from bert4keras2.arguments import positive, whole_number
from bert4keras2.functional import keras_private
from bert4keras2.training.freezing import (
    LearningShare,
    encoder_layers,
    forget_compiled,
    freeze_encoder,
    layers_meant,
    untrained,
)
from bert4keras2.training.gradients import value_of
from bert4keras2.training.step import TrainingStep
from bert4keras2.training.techniques import checked_model

__all__ = ["lora", "lora_ga", "merge_lora", "unmerge_lora"]


def lora(
    model: Any,
    rank: int = 8,
    alpha: float = 16.0,
    layers: str | Sequence[str] = ("q_dense", "v_dense"),
    train: Sequence[str] = (),
) -> LearningShare:
    """Freeze a model's encoder, and let chosen matrices W learn as W + alpha / rank * A B (LoRA, arXiv:2106.09685).

    A (N, rank) starts by chance, B (rank, M) at zero, so that nothing changes at first. x W + alpha / rank * (x A) B is
    computed, never the product A B: the gradient of the whole matrix is not needed. Layers that are not the encoder's,
    such as the head of a task, learn as before. Saved weights (`save_weights`, `save`) are the merged ones;
    `save_trainable` saves what learns alone.

    Args:
        model: a model of `bert4keras2.backend.keras`, before its first step; compile it before or after.
        rank: columns of A.
        alpha: what the product is multiplied by, times rank.
        layers: patterns that are searched for in the paths of Dense layers, such as "q_dense" or
            "Transformer-(10|11)-.*_dense".
        train: patterns of variables of the encoder that learn besides, such as "Norm" or "bias".

    Returns:
        How many weights learn.

    Raises:
        TypeError: if the model is not of the library's class.
        ValueError: if no layer is meant, one has such matrices already, or the model has trained.
    """
    untrained(model)
    rank, scale = whole_number("rank", rank, 1), positive("alpha", alpha) / rank
    found = layers_meant(model, encoder_layers(model, keras.layers.Dense), layers, "Dense layer")
    for layer in found:
        if hasattr(layer, "lora_kernel_a"):
            raise ValueError(f"{layer.path} has its LoRA matrices already")
    for layer in found:
        # Uniform up to the root of 1 / N, as in the authors' code.
        start = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
        layer.enable_lora(rank, lora_alpha=scale * rank, a_initializer=start)
        _branch(layer)
    return freeze_encoder(model, train)


def lora_ga(model: Any, data: Any) -> None:
    """Let A and B start along the first gradient, which makes the first steps those of full training (LoRA-GA).

    With the singular vectors U and V of a matrix's gradient, A becomes U[:, :r] and B V[r:2r], and W loses their
    product, so that the outputs stay (arXiv:2407.05000, kexue.fm/archives/10226).

    Args:
        model: compiled, after `lora` and before its first step.
        data: one batch: (x, y) or (x, y, sample_weight).

    Raises:
        ValueError: if the model has no LoRA matrices, or the rank is more than half of a matrix's.
    """
    untrained(model)
    layers = _with_lora(model)
    kernels = [keras_private.raw_kernel(layer) for layer in layers]
    for kernel in kernels:
        kernel.trainable = True
    try:
        step = TrainingStep(model, tuple(keras.tree.map_structure(ops.convert_to_tensor, part) for part in data), [])
        gradients = step.run([value_of(variable) for variable in step.variables])[3]
        found = {id(variable): gradient for variable, gradient in zip(step.variables, gradients, strict=True)}
    finally:
        for kernel in kernels:
            kernel.trainable = False
    for layer, kernel in zip(layers, kernels, strict=True):
        rank = layer.lora_rank
        if 2 * rank > min(kernel.shape):
            raise ValueError(
                f"lora_ga takes 2 x {rank} singular vectors, and the matrix of {layer.path} is {kernel.shape}"
            )
        gradient = np.asarray(ops.convert_to_numpy(found[id(kernel)]), "float64")
        left, _, right = np.linalg.svd(gradient, full_matrices=False)
        a, b = left[:, :rank].astype("float32"), right[rank : 2 * rank].astype("float32")
        layer.lora_kernel_a.assign(a)
        layer.lora_kernel_b.assign(b)
        kernel.assign(ops.convert_to_numpy(kernel) - _scale(layer) * (a @ b))


def merge_lora(model: Any) -> None:
    """Add the products A B to the matrices, so that predictions cost what they did without; `unmerge_lora` goes back.

    Args:
        model: after `lora`.

    Raises:
        ValueError: if the model has no LoRA matrices.
    """
    for layer in _with_lora(model):
        if getattr(layer, "_before_merging", None) is None:
            kernel = keras_private.raw_kernel(layer)
            value = np.array(ops.convert_to_numpy(kernel))
            a, b = (np.asarray(ops.convert_to_numpy(x)) for x in (layer.lora_kernel_a, layer.lora_kernel_b))
            object.__setattr__(layer, "_before_merging", value)
            layer.lora_enabled = False  # or Keras would add the product once more where it saves the layer
            kernel.assign(value + (_scale(layer) * (a @ b)).astype(value.dtype))
    forget_compiled(model)


def unmerge_lora(model: Any) -> None:
    """Take the products A B out of the matrices again, bit for bit: training goes on.

    Args:
        model: after `merge_lora`.

    Raises:
        ValueError: if the model has no LoRA matrices.
    """
    for layer in _with_lora(model):
        before = getattr(layer, "_before_merging", None)
        if before is not None:
            keras_private.raw_kernel(layer).assign(before)
            object.__setattr__(layer, "_before_merging", None)
            layer.lora_enabled = True
    forget_compiled(model)


# -- layers ------------------------------------------------------------------------------------------------------------


def _call(layer: Any, inputs: Any, training: Any = None) -> Any:
    """Return what a Dense layer makes of its inputs, with (x A) B beside x W."""
    x = ops.matmul(inputs, keras_private.raw_kernel(layer))
    if getattr(layer, "_before_merging", None) is None:
        a, b = (ops.cast(part, inputs.dtype) for part in (layer.lora_kernel_a, layer.lora_kernel_b))
        x = x + ops.matmul(ops.matmul(inputs, a), b) * ops.cast(_scale(layer), x.dtype)
    if layer.bias is not None:
        x = x + layer.bias
    return x if layer.activation is None else layer.activation(x)


def _branch(layer: Any) -> None:
    """Let a layer compute the low-rank part by itself; Keras' own way is to add A B to W, which costs as much as W."""
    object.__setattr__(layer, "call", types.MethodType(_call, layer))


def _scale(layer: Any) -> float:
    return layer.lora_alpha / layer.lora_rank


def _dense_layers(model: Any) -> list[Any]:
    return [layer for layer in keras_private.inner_layers(model) if isinstance(layer, keras.layers.Dense)]


def _with_lora(model: Any) -> list[Any]:
    found = [layer for layer in _dense_layers(checked_model(model)) if hasattr(layer, "lora_kernel_a")]
    if not found:
        raise ValueError(f"{model.name} has no LoRA matrices: call lora(model) first")
    return found
