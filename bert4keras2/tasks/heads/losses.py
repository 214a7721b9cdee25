"""Losses of tasks that Keras does not have."""

from __future__ import annotations

from typing import Any

from keras import ops

from bert4keras2.functional.losses import sparse_multilabel_categorical_crossentropy
from bert4keras2.functional.registry import register

__all__ = ["choice_crossentropy", "pair_crossentropy", "span_crossentropy", "token_crossentropy"]


@register
def span_crossentropy(y_true: Any, y_pred: Any) -> Any:
    """Return the multi-label loss of a pointer's spans (Su Jianlin, kexue.fm/archives/8373).

    Args:
        y_true: (B, H, K, 2) first and last positions of each type's spans, filled up with (0, 0), which is none.
        y_pred: (B, H, T, T) scores.

    Returns:
        (B, H) float32.
    """
    y_true, length = ops.cast(y_true, "int32"), ops.shape(y_pred)[-1]
    places = y_true[..., 0] * length + y_true[..., 1]
    flat = ops.reshape(y_pred, (*ops.shape(y_pred)[:2], length * length))
    return sparse_multilabel_categorical_crossentropy(places, flat, mask_zero=True)


@register
def pair_crossentropy(y_true: Any, y_pred: Any) -> Any:
    """Return the cross entropy of one span among all of a sequence.

    Args:
        y_true: (B, 2) first and last position.
        y_pred: (B, 1, T, T) scores of a pointer, or (B, T, 2) scores of first and last positions, each on its own.

    Returns:
        (B,) float32.
    """
    y_true, y_pred = ops.cast(y_true, "int32"), ops.cast(y_pred, "float32")
    if len(y_pred.shape) == 4:
        length = ops.shape(y_pred)[-1]
        flat = ops.reshape(y_pred, (ops.shape(y_pred)[0], length * length))
        return _entropy(ops.maximum(flat, -1e30), y_true[:, 0] * length + y_true[:, 1])
    return (_entropy(y_pred[..., 0], y_true[:, 0]) + _entropy(y_pred[..., 1], y_true[:, 1])) / 2


def _entropy(scores: Any, place: Any) -> Any:
    """Return (B,) cross entropies of (B, N) scores and the (B,) places that are right."""
    right = ops.take_along_axis(scores, ops.expand_dims(place, -1), axis=-1)[:, 0]
    return ops.logsumexp(scores, axis=-1) - right


@register
def token_crossentropy(y_true: Any, y_pred: Any) -> Any:
    """Return the cross entropy of each token that has a label.

    Args:
        y_true: (B, T) labels, -1 where there is none.
        y_pred: (B, T, C) scores; the mask that comes with them counts as well.

    Returns:
        (B, T) float32.
    """
    y_true, y_pred = ops.cast(y_true, "int32"), ops.cast(y_pred, "float32")
    right = ops.take_along_axis(y_pred, ops.expand_dims(ops.maximum(y_true, 0), -1), axis=-1)[..., 0]
    return (ops.logsumexp(y_pred, axis=-1) - right) * ops.cast(y_true >= 0, "float32")


@register
def choice_crossentropy(y_true: Any, y_pred: Any) -> Any:
    """Return the cross entropy of the right one of each question's choices, of which there may be any number.

    Args:
        y_true: (N, 2): whether a row is the right choice, and the number of its question in the batch.
        y_pred: (N, 1) scores.

    Returns:
        (N,) float32, whose mean is the mean over questions.
    """
    scores, y_true = ops.cast(y_pred, "float32")[:, 0], ops.cast(y_true, "float32")
    right, question = y_true[:, 0], y_true[:, 1]
    same = ops.equal(ops.expand_dims(question, 1), ops.expand_dims(question, 0))
    together = ops.logsumexp(ops.where(same, ops.expand_dims(scores, 0), -1e30), axis=-1)
    count = ops.cast(ops.shape(scores)[0], "float32")
    return right * (together - scores) * count / ops.maximum(ops.sum(right), 1.0)
