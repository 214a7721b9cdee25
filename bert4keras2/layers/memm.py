"""Sequence labelling by locally normalised transitions: the maximum entropy Markov model, in both directions."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert4keras2.functional import keras_private
from bert4keras2.layers.base import register
from bert4keras2.layers.sequence_labels import SequenceLabels

__all__ = ["MaximumEntropyMarkovModel"]


class _Kept(keras.metrics.Metric):
    """What a layer's loss leaves for its metrics: a metric on JAX sees the variables of metrics alone.

    It is one of the model's metrics, so that a step carries its variable along, but reports nothing and is not reset.
    """

    def __init__(self, name: str, shape: tuple[int, ...]):
        super().__init__(name=name)
        # NaN until a loss has run: better no accuracy than one by other transitions.
        self.kept = self.add_variable(shape, lambda shape, dtype: ops.full(shape, float("nan"), dtype), name="kept")

    def update_state(self, value: Any) -> None:
        """Keep a value."""
        self.kept.assign(ops.stop_gradient(value))

    def result(self) -> dict[str, Any]:
        """Return an empty report."""
        return {}

    def reset_state(self) -> None:
        """Keep what is kept."""


@register
class MaximumEntropyMarkovModel(SequenceLabels):
    """A Markov model of labels in both directions (McCallum, Freitag and Pereira, ICML 2000; Su Jianlin,
    kexue.fm/archives/7213).

    Each label is predicted from the mean of its own scores and the transition from its true neighbour: the left one
    forwards, the right one backwards, its scores alone where there is no visible neighbour. The layer returns its
    input; train it by `compile(loss=memm.sparse_loss, metrics=[memm.sparse_accuracy])`, decode with `memm.trans`.

    Args:
        lr_multiplier: the transitions are kept divided by this and used multiplied by it (each factor is, if there are
            two): under Adam they then learn that many times faster.
        hidden_dim: factor the transitions into two (labels, hidden_dim) matrices, for large label sets; None for one
            full matrix.
    """

    def __init__(self, lr_multiplier: float = 1, hidden_dim: int | None = None, **kwargs: Any):
        super().__init__(lr_multiplier, **kwargs)
        self.hidden_dim = hidden_dim

    def build(self, input_shape):
        self.labels = self._labels_of(input_shape)
        if self.hidden_dim is None:
            self._trans = self._add_scaled("trans", (self.labels, self.labels))
        else:
            self._l_trans = self._add_scaled("l_trans", (self.labels, self.hidden_dim))
            self._r_trans = self._add_scaled("r_trans", (self.labels, self.hidden_dim))
        # In a tuple, where Keras does not look: weight files do not hold it.
        shapes = [weight.shape for weight in self.weights]
        names = [f"{self.name}_{weight.name}" for weight in self.weights]
        jax = keras.backend.backend() == "jax"
        self.__dict__["_kept"] = tuple(_Kept(*pair) for pair in zip(names, shapes, strict=True)) if jax else ()
        self.built = True

    @property
    def metrics(self) -> list[Any]:
        """What the layer passes from its loss to its metrics, on JAX; none of it is shown."""
        return [*super().metrics, *self.__dict__.get("_kept", ())]

    @property
    def trans(self):
        """The (C, C) scores in use of label j after label i at [i, j]."""
        factors = self._factors()
        return factors[0] if self.hidden_dim is None else ops.matmul(factors[0], ops.transpose(factors[1]))

    def _factors(self) -> list[Any]:
        return [self._effective(weight) for weight in self.weights]

    def _factors_for_metrics(self) -> list[Any]:
        """Return the factors, or on JAX, where a fit has taken the variables' values, what the loss has kept."""
        if any(keras_private.raw_value(weight) is None for weight in self.weights) and self._kept:
            return [ops.cast(kept.kept, "float32") for kept in self._kept]
        return self._factors()

    def _directed(self, y_true, scores, mask, factors, go_backwards: bool):
        """Return scores (B, T, C) of each position given the true label of its neighbour."""
        if go_backwards:
            y_true, scores, mask = (ops.flip(x, axis=1) for x in (y_true, scores, mask))
        if self.hidden_dim is None:
            table = ops.transpose(factors[0]) if go_backwards else factors[0]
            history = ops.take(table, y_true[:, :-1], axis=0)
        else:
            left, right = reversed(factors) if go_backwards else factors
            history = ops.matmul(ops.take(left, y_true[:, :-1], axis=0), ops.transpose(right))
        linked = ops.expand_dims(ops.logical_and(mask[:, :-1], mask[:, 1:]), -1)
        later = ops.where(linked, (scores[:, 1:] + history) / 2, scores[:, 1:])
        directed = ops.concatenate([scores[:, :1], later], axis=1)
        return ops.flip(directed, axis=1) if go_backwards else directed

    def basic_loss(self, y_true, y_pred, go_backwards: bool = False):
        """Return the mean cross entropy of the visible positions in one direction.

        Args:
            y_true: (B, T) or (B, T, 1) integer labels; those at padded positions do not matter.
            y_pred: (B, T, C) output of the layer.
            go_backwards: predict from the right neighbour rather than the left one.

        Returns:
            A float32 scalar.

        Raises:
            ValueError: if the shapes do not fit, or a label is out of range (see `check_labels` for what is covered).
        """
        return self._cross_entropy(*self._sparse(y_true, y_pred), self._factors(), go_backwards)

    def _cross_entropy(self, y_true, scores, mask, factors, go_backwards: bool):
        logs = ops.log_softmax(self._directed(y_true, scores, mask, factors, go_backwards), axis=-1)
        logs = ops.take_along_axis(logs, ops.expand_dims(y_true, -1), axis=-1)[..., 0]
        visible = ops.cast(mask, "float32")
        return -ops.sum(logs * visible) / ops.maximum(ops.sum(visible), 1.0)

    def sparse_loss(self, y_true, y_pred):
        """Return the mean of the losses in both directions for integer labels (B, T), a scalar (see `basic_loss`)."""
        labelled, factors = self._sparse(y_true, y_pred), self._factors()
        for kept, factor in zip(self._kept, factors, strict=False):
            kept.update_state(factor)
        return sum(self._cross_entropy(*labelled, factors, backwards) for backwards in (False, True)) / 2

    def dense_loss(self, y_true, y_pred):
        """Return the loss of `sparse_loss` for one-hot labels (B, T, C)."""
        return self.sparse_loss(ops.argmax(self._dense(y_true, y_pred), axis=-1), y_pred)

    def basic_accuracy(self, y_true, y_pred, go_backwards: bool = False):
        """Return the share of visible positions predicted right in one direction; arguments as in `basic_loss`."""
        labelled = self._sparse(y_true, y_pred)
        directed = self._directed(*labelled, self._factors_for_metrics(), go_backwards)
        return self._share(directed, labelled[0], labelled[2])

    def sparse_accuracy(self, y_true, y_pred):
        """Return the mean accuracy of both directions, given the true neighbours, for integer labels (B, T)."""
        return (self.basic_accuracy(y_true, y_pred) + self.basic_accuracy(y_true, y_pred, True)) / 2

    def dense_accuracy(self, y_true, y_pred):
        """Return the accuracy of `sparse_accuracy` for one-hot labels (B, T, C)."""
        return self.sparse_accuracy(ops.argmax(self._dense(y_true, y_pred), axis=-1), y_pred)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "hidden_dim": self.hidden_dim}
