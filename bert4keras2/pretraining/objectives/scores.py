"""Losses and metrics of pre-training, in which labels of -1 do not count."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert4keras2.functional.registry import register
from bert4keras2.training.sentences.contrastive import partner_crossentropy

__all__ = ["PartnerLoss", "ReplacedAccuracy", "ReplacedLoss", "TokenAccuracy", "TokenLoss"]


@register
class TokenLoss(keras.losses.Loss):
    """Cross entropy of the labels that are not -1, divided by the number of all labels.

    A label has the same weight whatever batch it is in, so that accumulated and distributed batches add up to the
    large one.

    Args:
        share: which part of the labels counts on average: the loss is divided by it, so that it reads as a mean.
    """

    def __init__(self, share: float = 1.0, name: str = "token_loss", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.share = share

    def call(self, y_true, y_pred):
        """Return (B, P) for labels (B, P) and scores (B, P, V)."""
        labels = ops.cast(y_true, "int32")
        losses = keras.losses.sparse_categorical_crossentropy(ops.maximum(labels, 0), y_pred, from_logits=True)
        return ops.where(ops.not_equal(labels, -1), losses, 0.0) / self.share

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "share": self.share}


@register
class ReplacedLoss(keras.losses.Loss):
    """Binary cross entropy of scores that come with their labels; a label of -1 does not count."""

    def __init__(self, name: str = "replaced_loss", **kwargs: Any):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        """Return (B, T) for pairs (B, T, 2) of a score and its label."""
        scores, labels = y_pred[..., 0], ops.stop_gradient(y_pred[..., 1])
        # log(1 + e^-|s|) + max(s, 0) - s * y
        losses = ops.softplus(-ops.abs(scores)) + ops.maximum(scores, 0.0) - scores * labels
        return ops.where(labels >= 0, losses, 0.0)


@register
class PartnerLoss(keras.losses.Loss):
    """In-batch contrast: of all other rows, a row's vector is to be nearest to its partner's (kexue.fm/archives/7427).

    Rows 2i and 2i + 1 are partners, whatever the labels say.

    Args:
        scale: what multiplies the cosines.
    """

    def __init__(self, scale: float = 30.0, name: str = "partner_loss", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.scale = scale

    def call(self, y_true, y_pred):
        """Return (B,) for vectors (B, D)."""
        return partner_crossentropy(y_pred, self.scale)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}


@register
class TokenAccuracy(keras.metrics.Metric):
    """Share of the labels that have the highest score; labels of -1 do not count."""

    def __init__(self, name: str = "accuracy", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.right = self.add_weight(name="right", initializer="zeros")
        self.count = self.add_weight(name="count", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Take labels (B, P) and scores (B, P, V) in."""
        self.take(ops.cast(y_true, "int32"), ops.argmax(y_pred, axis=-1))

    def take(self, labels: Any, found: Any) -> None:
        """Count what was found (B, P) against labels (B, P)."""
        self.right.assign_add(ops.sum(ops.cast(ops.equal(labels, ops.cast(found, "int32")), "float32")))
        self.count.assign_add(ops.sum(ops.cast(ops.not_equal(labels, -1), "float32")))

    def result(self):
        """Return the share, 0 before the first label."""
        return ops.divide_no_nan(self.right, self.count)


@register
class ReplacedAccuracy(TokenAccuracy):
    """`TokenAccuracy` of scores that come with their labels."""

    def __init__(self, name: str = "replaced_accuracy", **kwargs: Any):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Take pairs (B, T, 2) of a score and its label in."""
        self.take(ops.cast(y_pred[..., 1], "int32"), y_pred[..., 0] > 0)
