"""What the layers for sequence labelling share: scores that pass through, labels that are checked, accuracy."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import KerasTensor, ops

from bert4keras2.functional.functions import most_negative, sequence_masking
from bert4keras2.layers.base import Layer

__all__ = ["SequenceLabels"]

# Shape legend: B batch, T sequence length, C number of labels.

# A position is padding where no label scores above this; the layers mark padding by -inf.
PADDING_SCORE = -1e6


class SequenceLabels(Layer):
    """Base of layers that pass label scores on and offer losses and accuracies of them to `compile`.

    Padding is marked in the output by -inf for all labels, which is how it reaches the losses. All is computed in
    float32, whatever the policy.

    Args:
        lr_multiplier: weights are kept divided by this and used multiplied by it: under optimizers whose steps do not
            depend on the size of the gradient, such as Adam, they then learn that many times faster.
    """

    # The losses that take integers: bert4keras2's Model checks labels on the host before it trains on them.
    sparse_losses = ("sparse_loss", "basic_loss")

    def __init__(self, lr_multiplier: float = 1, **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})
        if not lr_multiplier > 0:
            raise ValueError(f"{self.name}: lr_multiplier is a positive number, not {lr_multiplier!r}")
        self.lr_multiplier = lr_multiplier

    def _labels_of(self, input_shape) -> int:
        """Return the number of labels, the last axis of an input shape."""
        if len(input_shape) != 3 or input_shape[-1] is None:
            raise ValueError(
                f"{self.name} takes scores (batch, length, labels) with a known number of labels, such as the output "
                f"of Dense(labels) on a sequence; found shape {tuple(input_shape)}"
            )
        return input_shape[-1]

    def _add_scaled(self, name: str, shape: tuple[int, ...]):
        """Add a weight that is kept divided by `lr_multiplier`."""
        glorot = keras.initializers.GlorotUniform()

        def initializer(shape, dtype=None):
            return glorot(shape, dtype=dtype) / self.lr_multiplier

        return self.add_weight(name=name, shape=shape, initializer=initializer)

    def _effective(self, weight):
        """Return a weight kept by `_add_scaled` as it is used, a float32 tensor."""
        return self.lr_multiplier * ops.cast(weight, "float32")

    def call(self, inputs, mask=None):
        """Return the scores (B, T, C) as they are, -inf at the positions that the mask (B, T) hides."""
        return sequence_masking(ops.cast(inputs, "float32"), mask, "-inf", 1)

    def compute_mask(self, inputs, previous_mask=None):
        return None

    def compute_output_spec(self, inputs, mask=None):
        return KerasTensor(inputs.shape, dtype="float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "lr_multiplier": self.lr_multiplier}

    # -- what the losses share -------------------------------------------------------------------------------

    def _scores(self, y_pred):
        """Return finite scores (B, T, C) and the mask (B, T) that `y_pred` carries."""
        y_pred = ops.cast(y_pred, "float32")
        # Written so that NaN counts as visible: a broken encoder must not look like padding.
        mask = ops.any(ops.logical_not(y_pred <= PADDING_SCORE), axis=-1)
        scores = ops.maximum(y_pred, most_negative("float32"))
        return ops.where(ops.expand_dims(mask, -1), scores, 0.0), mask

    def _sparse(self, y_true, y_pred):
        """Return integer labels (B, T) within range, finite scores and the mask.

        Labels out of range are an error where values are at hand; within a compiled step their scores become NaN.
        """
        y_true = ops.convert_to_tensor(y_true)
        if len(y_true.shape) == 3 and y_true.shape[-1] == 1:
            y_true = y_true[..., 0]
        self._check_shape(y_true, y_pred, y_pred.shape[:2], "integers (batch, length)", "dense")
        scores, mask = self._scores(y_pred)
        labels = scores.shape[-1]
        y_true = ops.cast(y_true, "int32")
        wrong = ops.logical_and(mask, ops.logical_or(y_true < 0, y_true >= labels))
        self._raise_if_known(wrong, y_true, labels)
        scores = ops.where(ops.expand_dims(wrong, -1), float("nan"), scores)
        return ops.where(mask, ops.clip(y_true, 0, labels - 1), 0), scores, mask

    def _dense(self, y_true, y_pred):
        """Return integer labels of one-hot labels (B, T, C), after checking their shape."""
        y_true = ops.convert_to_tensor(y_true)
        self._check_shape(y_true, y_pred, y_pred.shape, "one-hot vectors (batch, length, labels)", "sparse")
        return y_true

    @staticmethod
    def _share(scores, y_true, mask):
        """Return the share of visible positions (B, T) whose best score (B, T, C) is that of the label."""
        visible = ops.cast(mask, "float32")
        equal = ops.cast(ops.equal(ops.cast(ops.argmax(scores, axis=-1), "int32"), y_true), "float32")
        return ops.sum(equal * visible) / ops.maximum(ops.sum(visible), 1.0)

    def _raise_if_known(self, wrong, y_true, labels: int) -> None:
        """Raise an error for wrong labels, on the spot where values are at hand, in TensorFlow graphs when they run."""
        backend = keras.backend.backend()
        if backend == "tensorflow":
            import tensorflow as tf

            bad = tf.boolean_mask(y_true, wrong)[:1]
            problem = self._range_problem("a label out of range", labels)
            if not tf.executing_eagerly():
                # XLA drops the assertion; the NaN remains.
                tf.debugging.Assert(tf.logical_not(tf.reduce_any(wrong)), [problem, "The first is", bad])
                return
            values = bad.numpy()
        elif backend == "torch":
            # On a GPU this would wait for all that is under way.
            if wrong.device.type != "cpu" or not bool(wrong.any()):
                return
            values = ops.convert_to_numpy(y_true[wrong])
        else:
            import jax

            if isinstance(wrong, jax.core.Tracer) or not bool(wrong.any()):
                return
            values = ops.convert_to_numpy(y_true)[ops.convert_to_numpy(wrong)]
        if len(values):
            raise ValueError(self._range_problem(f"label {int(values[0])}", labels))

    def _check_shape(self, y_true, y_pred, expected, form: str, other: str) -> None:
        found = tuple(y_true.shape)
        ranks_fit = len(y_pred.shape) == 3 and len(found) == len(expected)
        if ranks_fit and all(a is None or b is None or a == b for a, b in zip(found, expected, strict=True)):
            return
        raise ValueError(
            f"{self.name} got labels of shape {found} for scores of shape {tuple(y_pred.shape)}. Expected {form}, here "
            f"{tuple(expected)}; the {other}_loss and {other}_accuracy take the other form"
        )

    def check_labels(self, y_true: Any, mask: Any = None) -> None:
        """Check integer labels on the host, as `fit` of bert4keras2's Model does with NumPy arrays.

        Args:
            y_true: (B, T) or (B, T, 1) array of labels.
            mask: (B, T), true at the positions whose labels count; all if None.

        For other data, the losses themselves raise the error on PyTorch (CPU) and wherever they run eagerly, and on
        TensorFlow when a graph without XLA runs. Steps that XLA has compiled (JAX, jit_compile=True) and PyTorch on a
        GPU give NaN.

        Raises:
            ValueError: if a label is not one of 0 ... C - 1 (names the label, its place and the range), or the shape
                is another.
        """
        if not self.built:
            raise ValueError(f"{self.name} knows its labels once it has been called on scores: check labels after that")
        y_true = np.asarray(y_true)
        if y_true.ndim == 3 and y_true.shape[-1] == 1:
            y_true = y_true[..., 0]
        if y_true.ndim != 2:
            raise ValueError(
                f"{self.name} got labels of shape {y_true.shape}. Expected integers (batch, length), a label for each "
                "position; dense_loss and dense_accuracy take one-hot vectors (batch, length, labels)"
            )
        wrong = (y_true < 0) | (y_true >= self.labels)
        if mask is not None:
            wrong &= np.asarray(mask).astype(bool)
        if wrong.any():
            where = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise ValueError(self._range_problem(f"label {y_true[where]:g} at {where} (row {where[0]})", self.labels))

    def _range_problem(self, found: str, labels: int) -> str:
        return (
            f"{self.name} found {found}, but its scores are for {labels} labels: 0 to {labels - 1}. Is the Dense layer "
            "before it as wide as the label set, and are padded labels 0?"
        )
