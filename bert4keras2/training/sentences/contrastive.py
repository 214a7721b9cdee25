"""Vectors that are to be nearer to some than to others: SimCSE, pairs in a batch, triplets."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert4keras2.arguments import positive, whole_number
from bert4keras2.functional.registry import register
from bert4keras2.settings import check_choice
from bert4keras2.training.sentences.groups import GroupLoss, cosines, crossentropy, units

__all__ = ["in_batch_contrastive", "partner_crossentropy", "simcse", "triplet"]


def partner_crossentropy(vectors: Any, scale: float) -> Any:
    """Return (B,): of all other rows of a batch, how surely each is nearest to its partner; 2i and 2i + 1 are partners.

    Args:
        vectors: (B, D), of any length.
        scale: what multiplies the cosines.
    """
    rows = ops.arange(ops.shape(vectors)[0], dtype="int32")
    itself = ops.equal(ops.expand_dims(rows, 0), ops.expand_dims(rows, 1))
    scores = ops.where(itself, -1e30, cosines(vectors, vectors) * scale)
    return crossentropy(scores, rows + 1 - 2 * (rows % 2))


def simcse(scale: float = 20.0, denominator: str = "all") -> keras.losses.Loss:
    """Return the loss of SimCSE (arXiv:2104.08821): two passes over a text, which drop different units, are a pair.

    Rows 2i and 2i + 1 are the same text. With the cosines c(i, j) and the partner p(i) of a row,

        loss = mean over i of -log(exp(s c(i, p(i))) / sum over j of exp(s c(i, j))).

    Without dropout both rows of a pair are equal and there is nothing to learn: build the model with dropout_rate=0.1,
    or more.

    Args:
        scale: s, one over the temperature.
        denominator: "all": j are all other rows, as in kexue.fm/archives/8348; "other": i are the first rows of all
            pairs and j the second ones, as in the authors' code.

    Returns:
        A loss of vectors (B, D) and labels (B,), the numbers of the pairs.

    Raises:
        ValueError: if an option is out of range.
    """
    return SimCSE(scale, denominator)


def in_batch_contrastive(scale: float = 20.0, negatives: int = 0, symmetric: bool = False) -> keras.losses.Loss:
    """Return the loss of pairs among all other pairs of a batch (multiple negatives ranking, arXiv:1705.00652).

    A group is a text, one that belongs to it, and `negatives` that do not. Of the second and later rows of all groups,
    each first row is to be nearest to its own second row.

    Args:
        scale: what multiplies the cosines.
        negatives: hard negatives of each group; `bert4keras2.embeddings.hard_negatives` finds some.
        symmetric: take the mean with the loss of second rows among first ones.

    Returns:
        A loss of vectors (B, D) and labels (B,), the numbers of the groups.

    Raises:
        ValueError: if an option is out of range.
    """
    return InBatchContrastive(scale, negatives, symmetric)


def triplet(margin: float = 0.2, distance: str = "cosine") -> keras.losses.Loss:
    """Return the loss of triplets: max(0, d(anchor, positive) - d(anchor, negative) + margin) (arXiv:1503.03832).

    Args:
        margin: by how much the negative is to be farther.
        distance: "cosine" for 1 - cosine, or "euclidean".

    Returns:
        A loss of vectors (B, D), anchor, positive and negative in turn, and labels (B,), the numbers of the triplets.

    Raises:
        ValueError: if an option is out of range.
    """
    return Triplet(margin, distance)


@register
class SimCSE(GroupLoss):
    """See `simcse`."""

    def __init__(self, scale: float = 20.0, denominator: str = "all", name: str = "simcse", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        check_choice("denominator", denominator, ("all", "other"))
        self.scale, self.denominator = positive("scale", scale), denominator

    def call(self, y_true, y_pred):
        """Return (B,) or (B / 2,) for vectors (B, D)."""
        if self.denominator == "all":
            return partner_crossentropy(y_pred, self.scale)
        pairs = self.grouped(y_pred)
        return crossentropy(cosines(pairs[:, 0], pairs[:, 1]) * self.scale, ops.arange(ops.shape(pairs)[0]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "denominator": self.denominator}


@register
class InBatchContrastive(GroupLoss):
    """See `in_batch_contrastive`."""

    def __init__(
        self,
        scale: float = 20.0,
        negatives: int = 0,
        symmetric: bool = False,
        name: str = "in_batch_contrastive",
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        self.scale, self.negatives = positive("scale", scale), whole_number("negatives", negatives, 0)
        self.symmetric, self.size = symmetric, 2 + negatives

    def call(self, y_true, y_pred):
        """Return (groups,) for vectors (B, D)."""
        groups = self.grouped(y_pred)
        first, second = groups[:, 0], groups[:, 1]
        places = ops.arange(ops.shape(groups)[0])
        others = ops.reshape(groups[:, 2:], (-1, groups.shape[-1]))
        found = crossentropy(cosines(first, ops.concatenate([second, others])) * self.scale, places)
        if not self.symmetric:
            return found
        return (found + crossentropy(cosines(second, first) * self.scale, places)) / 2

    def get_config(self) -> dict[str, Any]:
        own = {"scale": self.scale, "negatives": self.negatives, "symmetric": self.symmetric}
        return {**super().get_config(), **own}


@register
class Triplet(GroupLoss):
    """See `triplet`."""

    size = 3

    def __init__(self, margin: float = 0.2, distance: str = "cosine", name: str = "triplet", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        check_choice("distance", distance, ("cosine", "euclidean"))
        self.margin, self.distance = positive("margin", margin), distance

    def call(self, y_true, y_pred):
        """Return (triplets,) for vectors (B, D)."""
        groups = self.grouped(y_pred)
        anchor, near, far = (groups[:, i] for i in range(3))
        return ops.relu(self._between(anchor, near) - self._between(anchor, far) + self.margin)

    def _between(self, a: Any, b: Any) -> Any:
        if self.distance == "cosine":
            return 1 - ops.sum(units(a) * units(b), axis=-1)
        # The root has no derivative at 0, where both vectors are equal.
        return ops.sqrt(ops.maximum(ops.sum(ops.square(a - b), axis=-1), 1e-12))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "margin": self.margin, "distance": self.distance}
