"""Token embeddings that can also score the vocabulary."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert4keras2.functional.graph import NodeMethods
from bert4keras2.functional.registry import register

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
class Embedding(NodeMethods, keras.layers.Embedding):
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
        self.__dict__["_in_call"] = True
        try:
            return super().__call__(*args, **kwargs)
        finally:
            self.__dict__.update(_in_call=False, _replacement=None)

    _mode, _masked = "embedding", True
    _in_call, _replacement = False, None

    @property
    def embeddings(self):
        """The table (V, D): the variable, or what a subclass has put in its place for the call that is under way."""
        if self._replacement is not None:
            return self._replacement
        table = super().embeddings
        # A sum is a tensor: a variable times NumPy's mask would be float64, and PyTorch would register a parameter.
        return table.value + 0 if self._in_call and type(self).call is not Embedding.call else table

    @embeddings.setter
    def embeddings(self, table):
        # P-tuning (Liu et al., arXiv:2103.10385) trains few rows: a subclass's `call` sets a table that lets gradients
        # through for these alone, and sets the variable again afterwards.
        self.__dict__["_replacement"] = table

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
