"""Token embeddings that can also score the vocabulary, and those of tasks."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from bert4keras2.functional import keras_private
from bert4keras2.functional.graph import NodeMethods
from bert4keras2.functional.prepared import TableFunction, prepared
from bert4keras2.functional.torch_tensors import forgiving, plain
from bert4keras2.layers.base import Layer, register, serialize_initializer
from bert4keras2.layers.masks import padding_mask
from bert4keras2.layers.prompt import PromptRows

__all__ = ["Embedding", "TaskEmbedding", "matmul_transposed"]


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
        mask_zero: treat `pad_id` as padding, except at the first position, which is never masked (T5 starts with 0).
        pad_id: the id that is padding.
    """

    def __init__(self, input_dim: int, output_dim: int, *args: Any, pad_id: int = 0, **kwargs: Any):
        super().__init__(input_dim, output_dim, *args, **kwargs)
        self.pad_id = pad_id
        #: Rows that learn by themselves (`bert4keras2.training.p_tuning`); files hold them in their places.
        self.prompt: PromptRows | None = None

    def call(self, inputs, mode: str = "embedding", masked: bool = True):
        """Return vectors (B, T, D) of ids (B, T), or scores (..., V) of vectors (..., D) if mode is "dense".

        Args:
            inputs: ids, or vectors if mode is "dense".
            mode: "embedding" or "dense".
            masked: whether these ids say which positions are padding.
        """
        if mode == "embedding":
            vectors = super().call(inputs)
            return vectors if self.prompt is None else self.prompt.look_up(inputs, vectors)
        if mode != "dense":
            raise ValueError(f"{self.name}: mode is 'embedding' or 'dense', not {mode!r}")
        scores = matmul_transposed(inputs, ops.convert_to_tensor(self.embeddings, dtype=self.compute_dtype))
        return scores if self.prompt is None else self.prompt.score(inputs, scores)

    def __call__(self, *args: Any, **kwargs: Any):
        function = prepared(self)
        found = None if function is None else self._output_of(function, *args, **kwargs)
        if found is not None:
            return found
        # How the layer is called decides about its mask, and `compute_mask` does not see the arguments.
        call = _Call(kwargs.get("mode", "embedding"), kwargs.get("masked", True))
        token = _CALLS.set({**_CALLS.get(), id(self): call})
        try:
            return super().__call__(*args, **kwargs)
        finally:
            _CALLS.reset(token)

    @staticmethod
    def _output_of(function: TableFunction, inputs: Any, mode: str = "embedding", masked: bool = True) -> Any:
        """Return scores, or vectors of one id in each row, which is its first and hidden by no mask; else None."""
        if mode == "embedding":
            return function.look_up(inputs)
        scores = function(inputs) if mode == "dense" else None
        mask = keras_private.torch_mask(inputs)
        return scores if scores is None or mask is None else keras_private.with_torch_mask(scores, mask)

    @property
    def embeddings(self):
        """The table (V, D): the variable, or what a subclass has put in its place for the call that is under way."""
        call = _CALLS.get().get(id(self))
        if call is not None and call.replacement is not None:
            return call.replacement
        table = super().embeddings
        # A sum is a tensor: a variable times NumPy's mask would be float64, and PyTorch would register a parameter.
        return table if call is None or type(self).call is Embedding.call else forgiving(table.value + 0)

    @embeddings.setter
    def embeddings(self, table):
        # P-tuning (Liu et al., arXiv:2103.10385) trains few rows: a subclass's `call` sets a table that lets gradients
        # through for these alone, and sets the variable again afterwards.
        call = _CALLS.get().get(id(self))
        if call is None:
            raise AttributeError(
                f"{self.name}.embeddings is replaced within `call` alone: write embeddings.assign(...)"
            )
        call.replacement = plain(table)

    def compute_mask(self, inputs, mask=None):
        call = _CALLS.get().get(id(self), _Call())
        if call.mode == "dense":
            return mask
        if not (self.mask_zero and call.masked):
            return None
        if len(inputs.shape) < 2:
            return ops.not_equal(inputs, self.pad_id)
        return padding_mask(inputs, self.pad_id)

    def compute_output_spec(self, inputs, mode: str = "embedding", masked: bool = True):
        shape = (*inputs.shape, self.output_dim) if mode == "embedding" else (*inputs.shape[:-1], self.input_dim)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def add_prompt(self, rows: list[int], network: str | None = None) -> None:
        """Let some rows of the built table learn by themselves, from their values on.

        Args:
            rows: their ids.
            network: see `PromptRows`.

        Raises:
            ValueError: if there are such rows already.
        """
        if self.prompt is not None:
            raise ValueError(f"{self.path} has rows that learn by themselves already: make the model anew")
        table = keras_private.own_variables(self)[0]
        with keras_private.adding_to(self):
            prompt = PromptRows(rows, self.input_dim, self.output_dim, network, name="prompt", dtype=self.dtype_policy)
            prompt.build()
            prompt.table.assign(ops.take(ops.convert_to_tensor(table), np.array(rows, "int32"), axis=0))
            self.prompt = prompt

    def merged(self) -> np.ndarray:
        """Return the table (V, D) with the rows that learn by themselves in their places."""
        table = np.array(ops.convert_to_numpy(keras_private.own_variables(self)[0]))
        if self.prompt is not None:
            table[self.prompt.rows] = ops.convert_to_numpy(self.prompt.call())
        return table

    def save_own_variables(self, store):
        """Write the table, with the rows that learn by themselves in their places."""
        own: dict[str, Any] = {}
        super().save_own_variables(own)
        if self.prompt is not None:
            own["0"] = self.merged()
        for name, value in own.items():
            store[name] = value

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pad_id": self.pad_id}


@register
class TaskEmbedding(Layer):
    """Add the vector of one task to all positions (ERNIE 2.0, Sun et al., arXiv:1907.12412).

    Args:
        input_dim: number of tasks that the model was trained on.
        output_dim: width of a vector.
        task_id: which of them.
        embeddings_initializer: initializer of the table.
    """

    def __init__(
        self, input_dim: int, output_dim: int, task_id: int = 0, embeddings_initializer: Any = "zeros", **kwargs: Any
    ):
        super().__init__(**kwargs)
        if not 0 <= task_id < input_dim:
            raise ValueError(f"task_id is from 0 to {input_dim - 1}, not {task_id!r}")
        self.input_dim, self.output_dim, self.task_id = input_dim, output_dim, task_id
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)

    def build(self, input_shape):
        self.embeddings = self.add_weight(
            name="embeddings", shape=(self.input_dim, self.output_dim), initializer=self.embeddings_initializer
        )
        self.built = True

    def call(self, x):
        """Return x (B, T, C) with the task's vector added."""
        return x + ops.cast(self.embeddings[self.task_id], x.dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "task_id": self.task_id,
            "embeddings_initializer": serialize_initializer(self.embeddings_initializer),
        }
