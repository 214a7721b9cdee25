"""Adapters and BitFit: a frozen encoder learns through small layers between its own, or through its biases alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bert4keras2.arguments import whole_number
from bert4keras2.layers import FeedForward, GatedAttentionUnit, MultiHeadAttention
from bert4keras2.training.freezing import (
    LearningShare,
    encoder_layers,
    freeze_encoder,
    layers_meant,
    untrained,
)

__all__ = ["adapters", "bitfit"]


def adapters(
    model: Any,
    size: int = 64,
    activation: Any = "gelu",
    layers: str | Sequence[str] = (".",),
    train: Sequence[str] | None = None,
) -> LearningShare:
    """Freeze a model's encoder, and put a bottleneck behind each attention and feed-forward layer (arXiv:1902.00751).

    A branch's output x becomes x + up(f(down(x))) before the residual is added, with `size` inner units; the upper
    matrix starts at zero, so that nothing changes at first. Normalizations and layers that are not the encoder's, such
    as the head of a task, learn too. Blocks that share their layers share adapters. A gradient still travels through
    the whole encoder: a step saves the gradients of its weights and the optimizer's slots. `save` keeps adapters in the
    file; `save_trainable` saves what learns alone.

    Args:
        model: a model of `bert4keras2.backend.keras`, before its first step; compile it before or after.
        size: inner units.
        activation: the function f.
        layers: patterns that are searched for in the paths of attention, feed-forward and gated attention layers, such
            as "FeedForward" or "Transformer-(10|11)-".
        train: patterns of variables of the encoder that learn besides; those of normalizations if None.

    Returns:
        How many weights learn.

    Raises:
        TypeError: if the model is not of the library's class.
        ValueError: if a pattern fits nothing, a layer has an adapter already, or the model has trained.
    """
    untrained(model)
    size = whole_number("size", size, 1)
    kinds = MultiHeadAttention, FeedForward, GatedAttentionUnit
    found = layers_meant(model, encoder_layers(model, kinds), layers, "attention or feed-forward layer")
    if train is None:  # RoFormerV2 and GAU-alpha normalize without weights
        train = ["Norm"] if any("Norm" in variable.path for variable in model.trainable_variables) else []
    freeze_encoder(model, train)
    for layer in found:
        layer.add_part("adapter", size=size, activation=activation)
    return freeze_encoder(model, train)


def bitfit(model: Any, train: Sequence[str] = (r"/(bias|beta)$",)) -> LearningShare:
    """Freeze all of a model's encoder but its biases (BitFit, arXiv:2106.10199).

    Layers that are not the encoder's, such as the head of a task, learn wholly. A learning rate of 1e-4 to 1e-3 is
    usual.

    Args:
        model: a model of `bert4keras2.backend.keras`, before its first step; compile it before or after.
        train: patterns of the encoder's variables that learn: those of layers and of normalizations.

    Returns:
        How many weights learn.

    Raises:
        TypeError: if the model is not of the library's class.
        ValueError: if the model has no biases, as RoFormerV2 and GAU-alpha have none, or has trained.
    """
    return freeze_encoder(model, train)
