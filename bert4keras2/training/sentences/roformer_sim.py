"""RoFormer-Sim: similarities from a teacher, and labelled pairs of two kinds (kexue.fm/archives/8454 and 8541)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from bert4keras2.arguments import positive, whole_number
from bert4keras2.functional.registry import register
from bert4keras2.training.model import Model
from bert4keras2.training.sentences.groups import cosines, crossentropy

__all__ = ["group_crossentropy", "pair_classifier", "similarity_distillation"]


def similarity_distillation(weight: float = 100.0) -> keras.losses.Loss:
    """Return the loss by which cosines of a batch become those of a teacher's vectors (RoFormer-Sim's second stage).

    With the cosines C of all pairs of a batch and those of the teacher T, loss = weight * mean((C - T)^2). It is added
    to `seq2seq_crossentropy`, so that the model still writes: compile with [similarity_distillation(),
    seq2seq_crossentropy()].

    Args:
        weight: what multiplies the mean.

    Returns:
        A loss of vectors (B, D) and labels (B, E): the teacher's vectors, of any width.

    Raises:
        ValueError: if `weight` is no number above 0.
    """
    return SimilarityDistillation(weight)


@register
class SimilarityDistillation(keras.losses.Loss):
    """See `similarity_distillation`."""

    def __init__(self, weight: float = 100.0, name: str = "similarities", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.weight = positive("weight", weight)

    def call(self, y_true, y_pred):
        """Return a scalar."""
        apart = cosines(y_pred, y_pred) - ops.stop_gradient(cosines(y_true, y_true))
        return self.weight * ops.mean(ops.square(apart))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weight": self.weight}


def pair_classifier(encoder: Model, classes: int) -> Model:
    """Return a model that tells what two texts are to each other from their vectors [u, v, |u - v|] (arXiv:1908.10084).

    The encoder is what is wanted afterwards; the dense layer, without bias, is thrown away.

    Args:
        encoder: from ids to vectors (B, D), such as `SentenceEncoder.model`; its weights learn.
        classes: number of classes.

    Returns:
        A model of the encoder's inputs for first texts and then those for second ones. Its output are the scores
        (B, classes) before the softmax.

    Raises:
        TypeError: if `encoder` is no functional model with one output.
        ValueError: if `classes` is no whole number of at least 2.
    """
    if not getattr(encoder, "inputs", None) or isinstance(encoder.output, list):
        raise TypeError("pair_classifier() takes a functional model from ids to vectors, such as SentenceEncoder.model")
    whole_number("classes", classes, 2)
    sides = [
        [keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=f"{side}-{tensor.name}") for tensor in encoder.inputs]
        for side in ("First", "Second")
    ]
    u, v = (encoder(side if len(side) > 1 else side[0]) for side in sides)
    features = keras.layers.Concatenate(dtype="float32")([u, v, ops.abs(u - v)])
    dense = keras.layers.Dense(classes, use_bias=False, dtype="float32", name="Pair-Classes")
    return Model([*sides[0], *sides[1]], dense(features))


def group_crossentropy(groups: Sequence[Sequence[int]]) -> keras.losses.Loss:
    """Return the cross entropy of classes that compete with those of their own group alone.

    RoFormer-Sim's supervised stage learns from pairs with two labels (classes 0 and 1) and from inference with three
    (2 to 4) by one dense layer: group_crossentropy([[0, 1], [2, 3, 4]]).

    Args:
        groups: the classes of each group; each class from 0 on stands in one.

    Returns:
        A loss of labels (B,) and scores (B, classes) before the softmax.

    Raises:
        ValueError: if a class is missing or stands in two groups.
    """
    return GroupCrossentropy(groups)


@register
class GroupCrossentropy(keras.losses.Loss):
    """See `group_crossentropy`."""

    def __init__(self, groups: Any, name: str = "group_crossentropy", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.groups = [list(group) for group in groups]
        flat = sorted(one for group in self.groups for one in group)
        if flat != list(range(len(flat))) or not flat:
            raise ValueError(f"each class from 0 on stands in one group; found {self.groups}")
        of = np.zeros(len(flat), "int32")
        for number, group in enumerate(self.groups):
            of[group] = number
        self._rivals = of[:, None] == of[None, :]

    def call(self, y_true, y_pred):
        """Return (B,)."""
        labels = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        rivals = ops.take(ops.convert_to_tensor(self._rivals), labels, axis=0)
        scores = ops.where(rivals, ops.cast(y_pred, "float32"), -1e30)
        return crossentropy(scores, labels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups}
