"""CoSENT: the cosines of pairs in the order of their labels (Su Jianlin, kexue.fm/archives/8847)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert4keras2.arguments import positive
from bert4keras2.functional.registry import register
from bert4keras2.training.sentences.groups import GroupLoss, units

__all__ = ["cosent"]


def cosent(scale: float = 20.0) -> keras.losses.Loss:
    """Return the loss of CoSENT: pairs with a higher label are to have the higher cosine.

    With the cosine c(i) and the label y(i) of pair i,

        loss = log(1 + sum over y(i) > y(j) of exp(s (c(j) - c(i)))).

    Labels may be 0 and 1, grades from 0 to 5, or classes in an order: any rising map of them gives the same loss.

    Args:
        scale: s.

    Returns:
        A loss of vectors (B, D), rows 2i and 2i + 1 being a pair, and labels (B,), equal for both rows of a pair. It is
        one number a batch: the mean over batches depends on their size.

    Raises:
        ValueError: if `scale` is no number above 0.
    """
    return CoSENT(scale)


@register
class CoSENT(GroupLoss):
    """See `cosent`."""

    def __init__(self, scale: float = 20.0, name: str = "cosent", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.scale = positive("scale", scale)

    def call(self, y_true, y_pred):
        """Return a scalar for vectors (B, D)."""
        pairs = units(self.grouped(y_pred))
        cosine = ops.sum(pairs[:, 0] * pairs[:, 1], axis=-1) * self.scale
        labels = ops.reshape(ops.cast(y_true, "float32"), (-1, 2))[:, 0]
        above = ops.expand_dims(labels, 1) > ops.expand_dims(labels, 0)  # (i, j)
        wrong = ops.where(above, ops.expand_dims(cosine, 0) - ops.expand_dims(cosine, 1), -1e30)
        flat = ops.reshape(wrong, (-1,))
        return ops.logsumexp(ops.concatenate([ops.zeros_like(flat[:1]), flat]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}
