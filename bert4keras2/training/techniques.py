"""Adding a transform of the loss to a model, and taking all of them back: what every technique is called by."""

from __future__ import annotations

from typing import Any

import keras

from bert4keras2.training.model import Model
from bert4keras2.training.step import LossTransform

__all__ = ["add_loss_transform", "checked_model", "checked_output", "plain_training"]


def add_loss_transform(model: Model, transform: LossTransform) -> None:
    """Let a model's training steps minimise what a transform makes of the loss.

    The transform follows those that the model has, and takes the place of one of its kind about the same variable.

    Args:
        model: a model of `bert4keras2.backend.keras`, before or after `compile`. Compiling again keeps the transform;
            saved files do not hold it.
        transform: an object of a subclass of `LossTransform`.

    Raises:
        TypeError: if the model is not of the library's class, or the transform is none.
    """
    checked_model(model)
    if not isinstance(transform, LossTransform):
        raise TypeError(
            f"A transform is an object of a subclass of bert4keras2.training.LossTransform, not {transform!r}"
        )
    transforms = list(model.loss_transforms)
    same = [i for i, old in enumerate(transforms) if old.kind == transform.kind and old.variable is transform.variable]
    transforms[slice(same[0], same[0] + 1) if same else slice(len(transforms), None)] = [transform]
    model.loss_transforms = transforms


def plain_training(model: Model) -> None:
    """Take all transforms of the loss back from a model: it trains as it was compiled to."""
    checked_model(model).loss_transforms = []


def checked_model(model: Any) -> Model:
    """Return a model of the library's class.

    Raises:
        TypeError: if it is another one.
    """
    if not isinstance(model, Model):
        raise TypeError(
            f"Only models of bert4keras2 know how to change their training steps, not {type(model).__name__} of"
            f" {type(model).__module__}: write `from bert4keras2.backend import keras` and make the model with"
            " keras.models.Model(inputs, outputs)"
        )
    return model


def checked_output(model: Any, output: int | None) -> int:
    """Return which of a model's outputs is meant.

    Raises:
        ValueError: if it is missing where there are several, or there is no such output.
    """
    count = len(keras.tree.flatten(getattr(model, "outputs", None) or [None]))
    if output is None and count > 1:
        raise ValueError(f"{model.name} has {count} outputs: say with output= which of them holds the predictions")
    if not 0 <= (output or 0) < count:
        raise ValueError(f"{model.name} has {count} outputs: output is from 0 to {count - 1}, not {output}")
    return output or 0
