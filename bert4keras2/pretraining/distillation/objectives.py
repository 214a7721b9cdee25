"""What a student learns: the teacher's vectors of texts, and to fill hidden words in beside."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
from keras import ops

from bert4keras2.functional.functions import masked_mean
from bert4keras2.functional.registry import register
from bert4keras2.models import heads
from bert4keras2.pretraining.objectives.base import Batch, Graph, Packed, Setup
from bert4keras2.pretraining.objectives.mlm import Hiding, at
from bert4keras2.pretraining.objectives.scores import TokenAccuracy, TokenLoss

__all__ = ["CosineToTeacher", "TextVectors", "VectorLoss"]


def _directions(*vectors: Any) -> list[Any]:
    """Return vectors (B, D) at length 1, in float32."""
    return [ops.normalize(ops.cast(x, "float32"), axis=-1) for x in vectors]


@register
class VectorLoss(keras.losses.Loss):
    """One minus the cosine to the teacher's vector, and how far the similarities within the batch are from its own.

    Args:
        similarities: weight of the second part: the mean squared difference of all cosines of two texts.
    """

    def __init__(self, similarities: float = 1.0, name: str = "vector_loss", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.similarities = similarities

    def call(self, y_true, y_pred):
        """Return (B,) for the teacher's vectors (B, D) and the student's (B, D)."""
        teacher, student = _directions(y_true, y_pred)
        loss = 1.0 - ops.sum(teacher * student, axis=-1)
        if self.similarities:
            difference = ops.matmul(student, ops.transpose(student)) - ops.matmul(teacher, ops.transpose(teacher))
            loss = loss + self.similarities * ops.mean(ops.square(difference), axis=-1)
        return loss

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "similarities": self.similarities}


@register
class CosineToTeacher(keras.metrics.Mean):
    """The mean cosine between a student's vectors and its teacher's."""

    def __init__(self, name: str = "cosine", **kwargs: Any):
        super().__init__(name=name, **kwargs)

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Take the teacher's vectors (B, D) and the student's (B, D) in."""
        teacher, student = _directions(y_true, y_pred)
        super().update_state(ops.sum(teacher * student, axis=-1))


class TextVectors(Hiding, Packed):
    """The mean of a student's last hidden states becomes the teacher's vector of the text.

    Args:
        setup: of the student's tokens.
        vectors: (N, D) of the teacher, for all texts.
        similarities: weight of the similarities within a batch.
        mlm: weight of hidden words; 0 leaves them out.
        masked_rows: share of the texts of a batch in which words are hidden; their vectors are learnt all the same.
    """

    name = "vectors"
    summary = "a teacher's vectors of texts"
    options = {"with_mlm": True}  # noqa: RUF012

    def __init__(
        self,
        setup: Setup,
        vectors: np.ndarray,
        similarities: float = 1.0,
        mlm: float = 1.0,
        masked_rows: float = 0.25,
    ):
        super().__init__(dataclasses.replace(setup, packing=False))
        self.vectors, self.similarities, self.masked_rows = vectors, similarities, masked_rows
        self.weights = {"vectors": 1.0, "tokens": mlm} if mlm else {"vectors": 1.0}

    def plan(self, shards: Any, random: Any) -> list[np.ndarray]:
        """Return a row for each text; what does not fit into it is cut off."""
        longest = self.length - self.extra
        return [np.array([[t, 0, min(int(shards.lengths[t]), longest)]]) for t in random.permutation(len(shards))]

    def batch(self, shards: Any, rows: list, random: Any) -> Batch:
        """Return the arrays of texts, and the teacher's vectors (B, D); with mlm also with hidden words, and these."""
        laid = self.rows(shards, rows, random)
        inputs = self.text_arrays(laid)
        targets = {"vectors": self.vectors[shards.numbers([int(row[0, 0]) for row in rows])].astype("float32")}
        if "tokens" in self.weights:
            part = slice(0, max(1, round(len(rows) * self.masked_rows)))  # rows come in an order of chance
            masked = self.masking(laid.ids[part], laid.flags[part], random)
            laid.ids[part] = masked.ids
            shape = (len(rows), masked.labels.shape[1])
            inputs["Input-Hidden"], targets["tokens"] = np.zeros(shape, np.int32), np.full(shape, -1, np.int32)
            inputs["Input-Hidden"][part], targets["tokens"][part] = masked.positions, masked.labels
        return inputs, targets

    def graph(self, transformer: Any) -> Graph:
        """Return the graph from rows to vectors (B, D), and to the scores (B, P, V) of hidden tokens."""
        inputs, context = self.context(transformer)
        real = ops.not_equal(transformer.inputs[0], self.tokenizer.pad_id)
        hidden = self.hidden_input() if "tokens" in self.weights else None
        outputs = {}

        def vectors_and_scores(x: Any) -> Any:
            outputs["vectors"] = masked_mean(ops.cast(x, "float32"), real)
            if hidden is not None:
                outputs["tokens"] = heads.token_scores(transformer, at(x, hidden))
            return outputs["vectors"]

        context.heads = vectors_and_scores
        transformer.run(context, transformer.inputs)
        return inputs if hidden is None else [*inputs, hidden], outputs

    def losses(self):
        parts = {"vectors": (VectorLoss(self.similarities), CosineToTeacher())}
        return parts | ({"tokens": (TokenLoss(self.masked_rows), TokenAccuracy())} if "tokens" in self.weights else {})
