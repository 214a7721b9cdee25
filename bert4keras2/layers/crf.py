"""Sequence labelling with scored transitions between labels: the conditional random field."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from bert4keras2.layers.base import register
from bert4keras2.layers.sequence_labels import SequenceLabels

__all__ = ["ConditionalRandomField", "log_partition"]

# Shape legend: B batch, T sequence length, C number of labels.


def _fold(step, state, elements):
    """Return what `step(state, element)` leaves after all elements along axis 0.

    keras.ops.scan does the same, but on TensorFlow XLA cannot differentiate it, and on PyTorch its gradient takes time
    that grows with the square of the length.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.foldl(step, elements, state)
    if backend == "torch":
        for element in zip(*(ops.unstack(x, axis=0) for x in elements), strict=True):
            state = step(state, element)
        return state
    return ops.scan(lambda state, element: (step(state, element), None), state, elements)[0]


def log_partition(scores, trans, mask):
    """Return the logarithm of the summed weights of all label sequences (Lafferty et al., 2001).

    Transitions count between neighbours that are both visible, so a hidden position in the middle cuts a sequence in
    two. The recursion runs from both ends at once and meets in the middle: half as many steps, each twice as wide.

    Args:
        scores: (B, T, C) finite float32 scores; those of hidden positions do not matter.
        trans: (C, C), the score of label j after label i at [i, j].
        mask: (B, T) booleans, true at visible positions.

    Returns:
        (B,) float32; 0 for a row without visible positions.
    """
    length, labels = ops.shape(scores)[1], scores.shape[-1]
    odd = length % 2
    scores = ops.pad(scores, [[0, 0], [0, odd], [0, 0]])
    mask = ops.pad(ops.cast(mask, "float32"), [[0, 0], [0, odd]])
    half = (length + odd) // 2
    # (half, 2, B, ...): the first half from the left and the second from the right.
    scores = ops.transpose(scores, (1, 0, 2))
    scores = ops.stack([scores[:half], ops.flip(scores[half:], axis=0)], axis=1)
    mask = ops.transpose(mask)
    mask = ops.stack([mask[:half], ops.flip(mask[half:], axis=0)], axis=1)[..., None]
    # Without a visible position so far, the sum over all labels is 1.
    start = ops.where(mask[0] > 0, scores[0], -float(np.log(labels)))
    both = ops.expand_dims(ops.stack([trans, ops.transpose(trans)]), 1)

    def step(state, now):
        score, visible, linked = now
        after = ops.logsumexp(ops.expand_dims(state, -1) + both, axis=2)
        alone = ops.logsumexp(state, axis=-1, keepdims=True)
        return ops.where(visible > 0, score + ops.where(linked > 0, after, alone), state)

    state = _fold(step, start, (scores[1:], mask[1:], mask[1:] * mask[:-1]))
    linked = ops.expand_dims(mask[-1, 0] * mask[-1, 1], -1)
    paths = ops.expand_dims(state[0], 2) + trans * linked + ops.expand_dims(state[1], 1)
    return ops.logsumexp(paths, axis=(1, 2))


@register
class ConditionalRandomField(SequenceLabels):
    """A linear-chain conditional random field (Lafferty, McCallum and Pereira, ICML 2001).

    The layer returns its input; train it by `compile(loss=crf.sparse_loss, metrics=[crf.sparse_accuracy])` and decode
    with the matrix `crf.trans`.

    Args:
        lr_multiplier: the transitions are kept divided by this and used multiplied by it: under optimizers whose steps
            do not depend on the size of the gradient, such as Adam, they then learn that many times faster.
    """

    def build(self, input_shape):
        self.labels = self._labels_of(input_shape)
        self._trans = self._add_scaled("trans", (self.labels, self.labels))
        self.built = True

    @property
    def trans(self):
        """The (C, C) scores in use of label j after label i at [i, j]."""
        return self._effective(self._trans)

    def sparse_loss(self, y_true, y_pred):
        """Return minus the log-likelihood of integer labels.

        Args:
            y_true: (B, T) or (B, T, 1) labels; those at padded positions do not matter.
            y_pred: (B, T, C) output of the layer.

        Returns:
            (B,) float32; a row of padding alone costs 0.

        Raises:
            ValueError: if the shapes do not fit, or a label is out of range (see `check_labels` for what is covered).
        """
        y_true, scores, mask = self._sparse(y_true, y_pred)
        trans = self.trans
        single = ops.take_along_axis(scores, ops.expand_dims(y_true, -1), axis=-1)[..., 0]
        pairs = ops.take(ops.reshape(trans, (-1,)), y_true[:, :-1] * scores.shape[-1] + y_true[:, 1:])
        visible = ops.cast(mask, "float32")
        target = ops.sum(single * visible, axis=1) + ops.sum(pairs * visible[:, 1:] * visible[:, :-1], axis=1)
        return log_partition(scores, trans, mask) - target

    def dense_loss(self, y_true, y_pred):
        """Return the loss of `sparse_loss` for one-hot labels.

        Args:
            y_true: (B, T, C), one-hot.
            y_pred: (B, T, C) output of the layer.

        Returns:
            (B,) float32.

        Raises:
            ValueError: if the shapes do not fit.
        """
        y_true = self._dense(y_true, y_pred)
        scores, mask = self._scores(y_pred)
        trans = self.trans
        y_true = ops.where(ops.expand_dims(mask, -1), ops.cast(y_true, "float32"), 0.0)
        target = ops.sum(y_true * scores, axis=(1, 2))
        target = target + ops.sum(ops.matmul(y_true[:, :-1], trans) * y_true[:, 1:], axis=(1, 2))
        return log_partition(scores, trans, mask) - target

    def sparse_accuracy(self, y_true, y_pred):
        """Return the share of visible positions whose best score, without transitions, is that of the label.

        A quick figure to watch while training; it is lower than the accuracy of decoded sequences.

        Args:
            y_true: (B, T) or (B, T, 1) labels.
            y_pred: (B, T, C) output of the layer.

        Returns:
            A float32 scalar.
        """
        y_true, scores, mask = self._sparse(y_true, y_pred)
        return self._share(scores, y_true, mask)

    def dense_accuracy(self, y_true, y_pred):
        """Return the accuracy of `sparse_accuracy` for one-hot labels (B, T, C)."""
        return self.sparse_accuracy(ops.argmax(self._dense(y_true, y_pred), axis=-1), y_pred)
