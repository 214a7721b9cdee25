"""What a student learns of a teacher with the same vocabulary: hidden states, or relations within attention."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert4keras2.functional.functions import masked_mean
from bert4keras2.functional.registry import register
from bert4keras2.layers.base import Layer
from bert4keras2.models import heads
from bert4keras2.pretraining.objectives.base import Batch, Graph, Packed, Setup
from bert4keras2.pretraining.objectives.mlm import Hiding, at
from bert4keras2.pretraining.objectives.scores import TokenAccuracy, TokenLoss

__all__ = ["TokenStates", "even_layers"]


def even_layers(student: int, teacher: int) -> dict[int, int]:
    """Return {block of the student: block of the teacher}, spread evenly, the last one to the last one."""
    return {index: (index + 1) * teacher // student - 1 for index in range(student)}


@register
class Given(keras.losses.Loss):
    """The output is the loss: (B,) or (B, 1), whatever the labels say."""

    def __init__(self, name: str = "given", **kwargs: Any):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        """Return (B,)."""
        return ops.reshape(y_pred, (-1,))


@register
class StateDistance(Layer):
    """The mean squared distance of normalised states, the student's through a matrix to the teacher's width."""

    def build(self, student_shape, teacher_shape, real_shape=None):
        """Create the map of widths, where they differ."""
        own, other = student_shape[-1], teacher_shape[-1]
        self.map = None if own == other else self.dense("map", other, own, use_bias=False)
        self.built = True

    def call(self, student, teacher, real):
        """Return (B, 1) for states (B, T, C) and (B, T, D), and where tokens are (B, T)."""
        student = student if self.map is None else self.map(student)
        difference = ops.square(_standard(student) - _standard(teacher))
        return ops.mean(masked_mean(difference, real), axis=-1, keepdims=True)

    def compute_output_spec(self, student, teacher, real):
        return keras.KerasTensor((student.shape[0], 1), "float32")


def _standard(x: Any) -> Any:
    x = ops.cast(x, "float32")
    x = x - ops.mean(x, axis=-1, keepdims=True)
    return x / ops.sqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + 1e-6)


@register
class Relations(Layer):
    """How far the relations of a student's keys (or values) are from the teacher's (arXiv:2012.15828).

    Both widths are divided into the same number of heads anew; a relation is the softmax of the scaled products of all
    pairs of positions. Kullback-Leibler divergences are averaged over heads and positions.

    Args:
        relation_heads: number of heads; both widths are multiples of it.
        student_dense, teacher_dense: what makes keys (or values) of states; None if they are given themselves.
    """

    def __init__(self, relation_heads: int, student_dense: Any = None, teacher_dense: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.relation_heads = relation_heads
        self.student_dense, self.teacher_dense = student_dense, teacher_dense

    def call(self, student, teacher, real):
        """Return (B, 1) for states, keys or values (B, T, C) and (B, T, D), and where tokens are (B, T)."""
        if self.student_dense is not None:
            student, teacher = self.student_dense(student), ops.stop_gradient(self.teacher_dense(teacher))
        own, other = (self._logarithms(x, real) for x in (student, teacher))
        divergence = ops.mean(ops.sum(ops.exp(other) * (other - own), axis=-1), axis=1)  # (B, T)
        return masked_mean(ops.expand_dims(divergence, -1), real)

    def _logarithms(self, x: Any, real: Any) -> Any:
        """Return (B, R, T, T) logarithms of relations."""
        size = x.shape[-1] // self.relation_heads
        x = ops.reshape(ops.cast(x, "float32"), (*ops.shape(x)[:2], self.relation_heads, size))
        x = ops.transpose(x, (0, 2, 1, 3))
        scores = ops.matmul(x, ops.transpose(x, (0, 1, 3, 2))) / size**0.5
        return ops.log_softmax(ops.where(real[:, None, None, :], scores, -1e9), axis=-1)

    def compute_output_spec(self, student, teacher, real):
        for name, x, dense in (("student", student, self.student_dense), ("teacher", teacher, self.teacher_dense)):
            width = x.shape[-1] if dense is None else dense.units
            if width % self.relation_heads:
                raise ValueError(f"the {name}'s width {width} is no multiple of {self.relation_heads} heads")
        return keras.KerasTensor((student.shape[0], 1), "float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "relation_heads": self.relation_heads}


class TokenStates(Hiding, Packed):
    """A student's states at its blocks become those of the teacher's blocks that it is given.

    Args:
        setup: of the tokens of both.
        teacher: the teacher, a `Transformer`.
        kind: "hidden" or "attention".
        layers: {block of the student: block of the teacher}; for attention the last pair alone counts.
        mlm: weight of hidden words; 0 leaves them out.
    """

    summary = "a teacher's states of each token"
    options = {"with_mlm": True}  # noqa: RUF012

    def __init__(self, setup: Setup, teacher: Any, kind: str, layers: dict[int, int], mlm: float = 1.0):
        super().__init__(setup)
        self.name, self.teacher, self.kind, self.layers = kind, teacher, kind, layers
        self.weights = {"states": 1.0, "tokens": mlm} if mlm else {"states": 1.0}

    def batch(self, shards: Any, rows: list, random: Any) -> Batch:
        """Return the arrays of texts with hidden words, and these; the states are compared within the graph."""
        laid = self.rows(shards, rows, random)
        masked = self.hide(laid, random)
        inputs = {**self.text_arrays(laid), "Input-Hidden": masked.positions}
        targets = {"states": masked.labels[:, :1] * 0, "tokens": masked.labels}
        return inputs, {name: targets[name] for name in self.weights}

    def graph(self, transformer: Any) -> Graph:
        """Return the graph from rows to distances (B, 1), and to the scores (B, P, V) of hidden tokens."""
        inputs, context = self.context(transformer)
        teacher, real = self.teacher, ops.not_equal(transformer.inputs[0], self.tokenizer.pad_id)
        hidden = self.hidden_input()
        seen: dict[str, list[Any]] = {}

        def student_heads(x: Any) -> Any:
            seen["student"] = list(transformer.hidden_states)
            return heads.token_scores(transformer, at(x, hidden))

        context.heads = student_heads
        scores, _ = transformer.run(context, transformer.inputs)

        def teacher_heads(x: Any) -> Any:
            seen["teacher"] = [ops.stop_gradient(state) for state in teacher.hidden_states]
            return x

        given = transformer.inputs[: len(teacher.inputs)]
        other = teacher.make_context(given)
        other.attention_mask, other.heads = context.attention_mask, teacher_heads
        teacher.run(other, given)
        outputs = {"states": self._distance(transformer, seen["student"], seen["teacher"], real), "tokens": scores}
        return [*inputs, hidden], {name: outputs[name] for name in self.weights}

    def _distance(self, transformer: Any, student: list[Any], teacher: list[Any], real: Any) -> Any:
        """Return (B, 1) for the states before and after each block of both."""
        if self.kind == "hidden":
            pairs = [(student[own + 1], teacher[other + 1]) for own, other in self.layers.items()]
            found = [StateDistance(name=f"Distance-{i}")(a, b, real) for i, (a, b) in enumerate(pairs)]
            return ops.mean(ops.concatenate(found, axis=-1), axis=-1, keepdims=True)
        own, other = list(self.layers.items())[-1]
        count = self.teacher.config.num_attention_heads
        found = []
        for part in ("k_dense", "v_dense"):
            dense = [_projection(model, block, part) for model, block in ((transformer, own), (self.teacher, other))]
            found.append(Relations(count, *dense, name=f"Relations-{part[0]}")(student[own], teacher[other], real))
        return found[0] + found[1]

    def losses(self):
        parts = {"states": (Given(), None)}
        return parts | ({"tokens": (TokenLoss(), TokenAccuracy())} if "tokens" in self.weights else {})


def _projection(transformer: Any, block: int, part: str) -> Any:
    """Return the layer that makes the keys or the values of a block's attention from the states before it."""
    config = transformer.config
    if config.block != "attention" or config.attention_norm != "post":
        raise ValueError(
            "kind='attention' compares keys and values of blocks that attend to the states before them as they are;"
            f" those of a {config.family} model are normalised first, or are gated units: take kind='hidden'"
        )
    name = transformer.prefixed(f"{transformer.block_name(block)}-MultiHeadSelfAttention")
    return getattr(transformer.layers[name], part)
