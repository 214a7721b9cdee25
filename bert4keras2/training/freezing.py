"""Which weights of a model learn: what every parameter-efficient technique begins with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bert4keras2.functional import keras_private
from bert4keras2.functional.compiled import structure_changed
from bert4keras2.training.techniques import checked_model

__all__ = [
    "BACKBONE",
    "LearningShare",
    "encoder_layers",
    "forget_compiled",
    "freeze_encoder",
    "layers_meant",
    "untrained",
]

# What the names of a released model's own layers have in them; heads of a task are none of these.
BACKBONE = re.compile(r"(^|/|-)(Embedding|Transformer|Encoder|Decoder|Pooler|MLM|NSP|Output-Norm|Discriminator)\b")
# What techniques have put into such layers.
ADDED = re.compile(r"/(adapter|prefix|prompt)/|lora_kernel_[ab]$")


class LearningShare(NamedTuple):
    """How many weights of a model learn.

    Attributes:
        learning: their number.
        total: that of all weights.
    """

    learning: int
    total: int

    def __str__(self) -> str:
        return f"{self.learning:,} of {self.total:,} weights learn ({self.learning / self.total:.3%})"


def freeze_encoder(model: Any, train: Sequence[str] = ()) -> LearningShare:
    """Freeze a model's encoder but for what techniques have put into it; layers that are not the encoder's learn on.

    `lora`, `adapters` and the like do it by themselves. A model with adapters or prefixes that was loaded from a file
    learns wholly until it is frozen again.

    Args:
        model: a model of `bert4keras2.backend.keras`, before its first step.
        train: patterns of variables of the encoder that learn besides, such as "Norm" or "bias".

    Returns:
        How many weights learn.

    Raises:
        TypeError: if the model is not of the library's class.
        ValueError: if it has trained, or a pattern fits nothing.
    """
    untrained(model)
    patterns = [train] if isinstance(train, str) else list(train)
    own = [variable for variable in model.variables if BACKBONE.search(variable.path)]
    for pattern in patterns:
        if not any(re.search(pattern, variable.path) for variable in own):
            shown = ", ".join(variable.path for variable in own[:6])
            raise ValueError(f"train={pattern!r} fits no variable of {model.name}'s encoder; the first are {shown}")
    for variable in own:
        if not ADDED.search(variable.path) and not any(re.search(pattern, variable.path) for pattern in patterns):
            variable.trainable = False
    forget_compiled(model)
    count = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    return LearningShare(count, int(model.count_params()))


def layers_meant(model: Any, layers: list[Any], patterns: str | Sequence[str], kind: str) -> list[Any]:
    """Return those of some layers whose paths patterns are found in.

    Args:
        model: whose layers they are.
        layers: those that come into question.
        patterns: one or several.
        kind: what the layers are, for messages.

    Raises:
        ValueError: if a pattern is found in none.
    """
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    for pattern in patterns:
        if not any(re.search(pattern, layer.path) for layer in layers):
            shown = ", ".join(dict.fromkeys(layer.name for layer in layers)) or "none"
            raise ValueError(f"layers={pattern!r} fits no {kind} of {model.name}'s encoder; it has {shown}")
    return [layer for layer in layers if any(re.search(pattern, layer.path) for pattern in patterns)]


def encoder_layers(model: Any, kinds: type | tuple[type, ...]) -> list[Any]:
    """Return the layers of some classes that are of a model's encoder."""
    layers = [layer for layer in keras_private.inner_layers(model) if isinstance(layer, kinds)]
    return [layer for layer in layers if BACKBONE.search(layer.path) and not ADDED.search(f"{layer.path}/")]


def untrained(model: Any) -> None:
    """Raise a ValueError if a model has trained: its optimizer has settled what learns."""
    optimizer = getattr(checked_model(model), "optimizer", None)
    if optimizer is not None and optimizer.built:
        raise ValueError(f"{model.name} has trained: what learns is settled before its first step. Compile it again")


def forget_compiled(model: Any) -> None:
    """Let a model compile its steps anew: what learns, and what is computed, has changed."""
    model.train_function = model.test_function = model.predict_function = None
    structure_changed()  # tasks, encoders and generators have compiled functions of its layers
