"""From a sequence to a vector, and cutting or joining sequences."""

from __future__ import annotations

from typing import Any

from keras import KerasTensor, Operation, ops

from bert4keras2.functional.functions import align, masked_mean, most_negative
from bert4keras2.layers.base import Layer, register

__all__ = ["BatchConcat", "BatchSplit", "Concatenate1D", "FirstToken", "GlobalAveragePooling1D", "GlobalMaxPooling1D"]


class _Pooling(Layer):
    """Base of layers that turn (B, T, C) into (B, C) and end the mask."""

    def compute_mask(self, inputs, previous_mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1])


@register
class FirstToken(_Pooling):
    """The vector of the first position, [CLS] in BERT."""

    def call(self, inputs):
        """Return (B, C) of inputs (B, T, C)."""
        return inputs[:, 0]


@register
class GlobalAveragePooling1D(_Pooling):
    """The mean over the positions that the mask shows."""

    def call(self, inputs, mask=None):
        """Return (B, C) of inputs (B, T, C) and an optional mask (B, T); a fully masked row gives zeros."""
        return ops.mean(inputs, axis=1) if mask is None else masked_mean(inputs, mask)


@register
class GlobalMaxPooling1D(_Pooling):
    """The maximum over the positions that the mask shows."""

    def call(self, inputs, mask=None):
        """Return (B, C) of inputs (B, T, C) and an optional mask (B, T)."""
        if mask is not None:
            low = ops.cast(most_negative(inputs.dtype), inputs.dtype)
            inputs = ops.where(align(ops.cast(mask, "bool"), [0, 1], 3), inputs, low)
        return ops.max(inputs, axis=1)


@register
class Concatenate1D(Layer):
    """Join sequences along time; the mask is joined too, inputs without one counting as fully visible."""

    def call(self, inputs):
        """Return (B, T1 + T2 + ..., C) of a list of (B, Ti, C)."""
        return ops.concatenate(inputs, axis=1)

    def compute_mask(self, inputs, previous_mask=None):
        if previous_mask is None or all(mask is None for mask in previous_mask):
            return None
        masks = [
            ops.ones_like(x[..., 0], dtype="bool") if mask is None else ops.cast(mask, "bool")
            for x, mask in zip(inputs, previous_mask, strict=True)
        ]
        return ops.concatenate(masks, axis=1)

    def compute_output_shape(self, input_shape):
        lengths = [shape[1] for shape in input_shape]
        total = None if None in lengths else sum(lengths)
        return (input_shape[0][0], total, *input_shape[0][2:])


@register
class _Parts(Operation):
    """The parts of a batch; in a functional graph, where the batch's size is not known, as an operation of its own."""

    def __init__(self, parts: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.parts = parts

    def call(self, x):
        size = -(-ops.shape(x)[0] // self.parts)
        return [x[k * size : (k + 1) * size] for k in range(self.parts)]

    def compute_output_spec(self, x):
        return [KerasTensor((None, *x.shape[1:]), dtype=x.dtype) for _ in range(self.parts)]

    def get_config(self) -> dict[str, Any]:
        return {"parts": self.parts, "name": self.name}


@register
class BatchSplit(Layer):
    """Cut a batch into parts of nearly equal size, the first parts being the larger ones.

    Args:
        parts: number of parts.
    """

    def __init__(self, parts: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.parts = parts

    def call(self, inputs):
        """Return a list of `parts` tensors whose batch sizes add up to that of `inputs`."""
        return _Parts(self.parts).call(inputs)

    def compute_mask(self, inputs, previous_mask=None):
        return None if previous_mask is None else _Parts(self.parts)(previous_mask)

    def compute_output_spec(self, inputs):
        return _Parts(self.parts).compute_output_spec(inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "parts": self.parts}


@register
class BatchConcat(Layer):
    """Join tensors along the batch axis: the inverse of `BatchSplit`."""

    def call(self, inputs):
        """Return the parts of a list joined along axis 0."""
        return ops.concatenate(inputs, axis=0)

    def compute_mask(self, inputs, previous_mask=None):
        if previous_mask is None or any(mask is None for mask in previous_mask):
            return None
        return ops.concatenate(previous_mask, axis=0)

    def compute_output_shape(self, input_shape):
        return (None, *input_shape[0][1:])
