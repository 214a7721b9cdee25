"""Token embeddings that can also score the vocabulary."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert4keras2.backend import register

__all__ = ["Embedding", "matmul_transposed"]


def matmul_transposed(x, table):
    """Return the products (..., V) of vectors (..., D) with the rows of a table (V, D).

    TensorFlow would copy the transposed table, the largest of a model's matrices, at each call.
    """
    if keras.backend.backend() != "tensorflow" or None in (shape := x.shape[-1:]):
        return ops.matmul(x, ops.transpose(table))
    import tensorflow as tf

    flat = tf.matmul(tf.reshape(x, (-1, shape[0])), table, transpose_b=True)
    return tf.reshape(flat, tf.concat([tf.shape(x)[:-1], tf.shape(table)[:1]], 0))


@register
class Embedding(keras.layers.Embedding):
    """Look up vectors of ids or, with mode="dense", score vectors against all ids by the same table.

    Args:
        input_dim: number of ids.
        output_dim: width of a vector.
        mask_zero: treat id 0 as padding, except at the first position, which is never masked (T5 starts with 0).
    """

    def call(self, inputs, mode: str = "embedding", masked: bool = True):
        """Return vectors (B, T, D) of ids (B, T), or scores (..., V) of vectors (..., D) if mode is "dense".

        Args:
            inputs: ids, or vectors if mode is "dense".
            mode: "embedding" or "dense".
            masked: whether these ids say which positions are padding.
        """
        if mode == "embedding":
            return super().call(inputs)
        if mode != "dense":
            raise ValueError(f"{self.name}: mode is 'embedding' or 'dense', not {mode!r}")
        return matmul_transposed(inputs, ops.convert_to_tensor(self.embeddings, dtype=self.compute_dtype))

    def __call__(self, *args: Any, **kwargs: Any):
        # How the layer is called decides about its mask, and `compute_mask` does not see the arguments.
        self._mode, self._masked = kwargs.get("mode", "embedding"), kwargs.get("masked", True)
        return super().__call__(*args, **kwargs)

    _mode, _masked = "embedding", True

    def compute_mask(self, inputs, mask=None):
        if self._mode == "dense":
            return mask
        if not (self.mask_zero and self._masked):
            return None
        if len(inputs.shape) < 2:
            return ops.not_equal(inputs, 0)
        first = ops.ones_like(inputs[:, :1], dtype="bool")
        return ops.concatenate([first, ops.not_equal(inputs[:, 1:], 0)], axis=1)

    def compute_output_spec(self, inputs, mode: str = "embedding", masked: bool = True):
        shape = (*inputs.shape, self.output_dim) if mode == "embedding" else (*inputs.shape[:-1], self.input_dim)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)
