"""Token embeddings that can also score the vocabulary."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
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


@dataclass
class _Call:
    """What is to be known of a call while it is under way."""

    mode: str = "embedding"
    masked: bool = True
    replacement: Any = None  # a table in place of the layer's own


# {id of a layer: its call under way}. Each thread has its own: a layer may be called in several at once.
_CALLS: ContextVar[dict[int, _Call]] = ContextVar("calls", default={})  # noqa: B039 (never changed in place)


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
        call = _Call(kwargs.get("mode", "embedding"), kwargs.get("masked", True))
        token = _CALLS.set({**_CALLS.get(), id(self): call})
        try:
            return super().__call__(*args, **kwargs)
        finally:
            _CALLS.reset(token)

    @property
    def embeddings(self):
        """The table (V, D): the variable, or what a subclass has put in its place for the call that is under way."""
        call = _CALLS.get().get(id(self))
        if call is not None and call.replacement is not None:
            return call.replacement
        table = super().embeddings
        # A sum is a tensor: a variable times NumPy's mask would be float64, and PyTorch would register a parameter.
        return table if call is None or type(self).call is Embedding.call else table.value + 0

    @embeddings.setter
    def embeddings(self, table):
        # P-tuning (Liu et al., arXiv:2103.10385) trains few rows: a subclass's `call` sets a table that lets gradients
        # through for these alone, and sets the variable again afterwards.
        call = _CALLS.get().get(id(self))
        if call is None:
            raise AttributeError(
                f"{self.name}.embeddings is replaced within `call` alone: write embeddings.assign(...)"
            )
        call.replacement = table

    def compute_mask(self, inputs, mask=None):
        call = _CALLS.get().get(id(self), _Call())
        if call.mode == "dense":
            return mask
        if not (self.mask_zero and call.masked):
            return None
        if len(inputs.shape) < 2:
            return ops.not_equal(inputs, 0)
        first = ops.ones_like(inputs[:, :1], dtype="bool")
        return ops.concatenate([first, ops.not_equal(inputs[:, 1:], 0)], axis=1)

    def compute_output_spec(self, inputs, mode: str = "embedding", masked: bool = True):
        shape = (*inputs.shape, self.output_dim) if mode == "embedding" else (*inputs.shape[:-1], self.input_dim)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)
