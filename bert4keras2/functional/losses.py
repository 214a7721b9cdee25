"""Losses for multi-label classification with one threshold for all classes."""

from __future__ import annotations

from keras import ops

from bert4keras2.functional.functions import most_negative

__all__ = ["multilabel_categorical_crossentropy", "sparse_multilabel_categorical_crossentropy"]


def _with_zero(x):
    """Append a zero to the last axis: the threshold that positives exceed and negatives stay below."""
    return ops.concatenate([x, ops.zeros_like(x[..., :1])], axis=-1)


def multilabel_categorical_crossentropy(y_true, y_pred):
    """Softmax-like loss of a set of labels: log(1 + sum_neg e^s) + log(1 + sum_pos e^-s).

    Args:
        y_true: (..., N), 1 for classes in the set, 0 for others (values between are allowed).
        y_pred: (..., N) scores; a class is predicted where its score exceeds 0. Scores of -inf never count.

    Returns:
        (...) loss per row. Source: Su Jianlin, kexue.fm/archives/7359 and 9064.
    """
    y_pred = ops.cast(y_pred, "float32")
    y_true = ops.cast(y_true, "float32")
    tiny = 1e-7
    # Scores of -inf (masked classes) become finite, so that 0 * inf never arises.
    y_pred = ops.maximum(y_pred, most_negative("float32"))
    positive = y_true > tiny
    negative = y_true < 1 - tiny
    log_true = ops.log(ops.clip(y_true, tiny, 1.0))
    log_false = ops.log(ops.clip(1 - y_true, tiny, 1.0))
    low = most_negative("float32")
    pos = ops.where(positive, log_true - y_pred, low)
    neg = ops.where(negative, log_false + y_pred, low)
    return ops.logsumexp(_with_zero(neg), axis=-1) + ops.logsumexp(_with_zero(pos), axis=-1)


def sparse_multilabel_categorical_crossentropy(y_true, y_pred, mask_zero: bool = False):
    """The loss of `multilabel_categorical_crossentropy` for labels given as class numbers.

    Args:
        y_true: (..., K) integer classes in the set.
        y_pred: (..., N) scores.
        mask_zero: class 0 is padding in `y_true` and never a target.

    Returns:
        (...) loss per row. Source: Su Jianlin, kexue.fm/archives/7359.
    """
    y_pred = ops.cast(y_pred, "float32")
    y_true = ops.cast(y_true, "int32")
    y_pred = ops.maximum(y_pred, most_negative("float32"))
    if mask_zero:
        # Class 0 gets +inf-like score as a target (costs nothing) and leaves the negatives below.
        high = ops.full_like(y_pred[..., :1], -most_negative("float32"))
        y_pred = ops.concatenate([high, y_pred[..., 1:]], axis=-1)
    pos = _take_last(y_pred, y_true)
    pos_loss = ops.logsumexp(_with_zero(-pos), axis=-1)
    if mask_zero:
        y_pred = ops.concatenate([-high, y_pred[..., 1:]], axis=-1)
        pos = _take_last(y_pred, y_true)
    # Negatives are all classes minus the positives, in log space: log(e^a - e^b) = a + log(1 - e^(b - a)).
    all_loss = ops.logsumexp(_with_zero(y_pred), axis=-1)
    aux = ops.logsumexp(pos, axis=-1) - all_loss
    aux = ops.clip(1 - ops.exp(aux), 1e-7, 1.0)
    return pos_loss + all_loss + ops.log(aux)


def _take_last(params, indices):
    """Pick entries of the last axis: (..., N) and (..., K) indices give (..., K)."""
    return ops.take_along_axis(params, indices, axis=-1)
