"""The part of `K` that compares predictions with targets, with Keras 2's clipping."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert4keras2.backend.keras2.shapes import dtype, ndim

__all__ = ["binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"]


def _clipped(probabilities):
    epsilon = keras.config.epsilon()
    return ops.clip(probabilities, epsilon, 1 - epsilon)


def categorical_crossentropy(target, output, from_logits: bool = False, axis: int = -1):
    """Return -sum(target * log(output)) over an axis.

    Args:
        target: (..., C) probabilities.
        output: (..., C) probabilities, which are normalised and kept epsilon away from 0 and 1; or logits.
        from_logits: whether `output` holds logits.
        axis: the axis of the classes.

    Returns:
        (...) losses.
    """
    output = ops.convert_to_tensor(output) if not isinstance(output, keras.KerasTensor) else output
    if from_logits:
        logs = ops.log_softmax(output, axis=axis)
    else:
        logs = ops.log(_clipped(output / ops.sum(output, axis=axis, keepdims=True)))
    return -ops.sum(ops.cast(target, dtype(logs)) * logs, axis=axis)


def sparse_categorical_crossentropy(
    target, output, from_logits: bool = False, axis: int = -1, ignore_class: Any = None
):
    """Return -log(output[target]) of each position.

    Args:
        target: (...) or (..., 1) class ids, floats with whole values too.
        output: (..., C) probabilities, kept epsilon away from 0 and 1; or logits.
        from_logits: whether `output` holds logits.
        axis: the axis of the classes.
        ignore_class: an id whose positions get the loss 0.

    Returns:
        (...) losses, of the shape of `output` without its last axis.
    """
    if axis not in (-1, ndim(output) - 1):
        output = ops.moveaxis(output, axis, -1)
    if ndim(target) == ndim(output):
        target = ops.squeeze(target, -1)
    target = ops.cast(target, "int32")
    logits = output if from_logits else ops.log(_clipped(output))
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(target, logits, from_logits=True)
    kept = ops.not_equal(target, ignore_class)
    target = ops.where(kept, target, ops.zeros_like(target))
    losses = ops.sparse_categorical_crossentropy(target, logits, from_logits=True)
    return ops.where(kept, losses, ops.zeros_like(losses))


def binary_crossentropy(target, output, from_logits: bool = False):
    """Return the losses of independent yes-or-no predictions, element by element.

    Args:
        target: numbers between 0 and 1.
        output: probabilities, kept epsilon away from 0 and 1, or logits, of the same shape.
        from_logits: whether `output` holds logits.
    """
    kind = dtype(output)
    target = ops.cast(target, kind)
    if from_logits:
        output = ops.convert_to_tensor(output) if not isinstance(output, keras.KerasTensor) else output
        # The formula without overflow: log(1 + exp(-|x|)) + max(x, 0) - x * target.
        return ops.log1p(ops.exp(-ops.abs(output))) + ops.relu(output) - output * target
    # Keras 2 added epsilon after clipping, so that a plain miss costs -log(2 epsilon).
    output, epsilon = _clipped(output), keras.config.epsilon()
    return -(target * ops.log(output + epsilon) + (1 - target) * ops.log(1 - output + epsilon))
