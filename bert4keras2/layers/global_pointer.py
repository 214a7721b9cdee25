"""Spans scored by their two ends: GlobalPointer and its efficient form."""

from __future__ import annotations

from typing import Any

import keras
from keras import KerasTensor, ops

from bert4keras2.functional.functions import align, rotate, sinusoids
from bert4keras2.layers.base import register, serialize_initializer

__all__ = ["EfficientGlobalPointer", "GlobalPointer"]

# Shape legend: B batch, T sequence length, H heads (types of spans), D head size, C width.


class _Pointer(keras.layers.Layer):
    """What both forms share: arguments, positions, masks.

    Not a `base.Layer`: its method `dense` would stand in the way of the child layer of that name.
    """

    def __init__(
        self,
        heads: int,
        head_size: int,
        RoPE: bool = True,
        max_length: int = 512,
        use_bias: bool = True,
        tril_mask: bool = True,
        kernel_initializer: Any = "lecun_normal",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        if heads < 1 or head_size < 1:
            raise ValueError(f"{self.name}: heads and head_size are positive, not {heads} and {head_size}")
        if RoPE and head_size % 2:
            raise ValueError(f"{self.name}: RoPE turns pairs, so head_size must be even, not {head_size}")
        self.heads, self.head_size, self.RoPE, self.max_length = heads, head_size, RoPE, max_length
        self.use_bias, self.tril_mask = use_bias, tril_mask
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def _width(self, input_shape) -> int:
        if len(input_shape) != 3 or input_shape[-1] is None:
            raise ValueError(
                f"{self.name} takes vectors (batch, length, width) of a known width, such as the last hidden states of "
                f"an encoder; found shape {tuple(input_shape)}"
            )
        return input_shape[-1]

    def _project(self, name: str, units: int, input_dim: int) -> keras.layers.Dense:
        """Create and build a Dense child."""
        options = {"use_bias": self.use_bias, "kernel_initializer": self.kernel_initializer, "dtype": self.dtype_policy}
        child = keras.layers.Dense(units, name=name, **options)
        child.build((None, input_dim))
        return child

    def _rotate(self, *tensors):
        """Turn (B, T, ..., D) tensors by their positions, if so configured."""
        if not self.RoPE:
            return tensors
        sin, cos = sinusoids(ops.arange(ops.shape(tensors[0])[1]), self.head_size)
        axes, ndim = [1, len(tensors[0].shape) - 1], len(tensors[0].shape)
        return tuple(rotate(x, align(sin, axes, ndim), align(cos, axes, ndim)) for x in tensors)

    def _hide(self, scores, mask):
        """Set the scores (B, H, T, T) of spans that cannot be to -inf."""
        visible = None
        if mask is not None:
            mask = ops.cast(mask, "bool")
            visible = ops.logical_and(align(mask, [0, 2], 4), align(mask, [0, 3], 4))
        if self.tril_mask:
            position = ops.arange(ops.shape(scores)[2])
            ordered = align(ops.expand_dims(position, 1) <= ops.expand_dims(position, 0), [2, 3], 4)
            visible = ordered if visible is None else ops.logical_and(visible, ordered)
        return scores if visible is None else ops.where(visible, scores, ops.cast(float("-inf"), scores.dtype))

    def compute_mask(self, inputs, previous_mask=None):
        return None

    def compute_output_spec(self, inputs, mask=None):
        batch, length = inputs.shape[:2]
        return KerasTensor((batch, self.heads, length, length), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        names = "heads head_size RoPE max_length use_bias tril_mask"
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in names.split()},
            "kernel_initializer": serialize_initializer(self.kernel_initializer),
        }


@register
class GlobalPointer(_Pointer):
    """Score every span of a sequence for every type (Su et al., arXiv:2208.03054; kexue.fm/archives/8373).

    Each type has vectors of its own for the two ends of a span; the score is their product over the root of their size.
    Train it with `backend.multilabel_categorical_crossentropy`; a span is predicted where its score exceeds 0.

    Args:
        heads: number of span types H.
        head_size: size D of the vectors of a span's ends; even with RoPE.
        RoPE: rotate the vectors by their positions, so that scores know the length of a span.
        max_length: accepted for old scripts; rotary positions have no longest one.
        use_bias: add a bias to the projection.
        tril_mask: hide spans that end before they start.
        kernel_initializer: initializer of the kernel.
    """

    def build(self, input_shape):
        self.dense = self._project("dense", 2 * self.heads * self.head_size, self._width(input_shape))
        self.built = True

    def call(self, inputs, mask=None):
        """Return float32 scores (B, H, T, T) of spans from the third axis to the fourth, -inf where there is none.

        Args:
            inputs: (B, T, C) vectors.
            mask: (B, T), true at the positions where spans may start and end.
        """
        x = ops.cast(self.dense(inputs), "float32")
        x = ops.reshape(x, (*ops.shape(x)[:2], self.heads, 2 * self.head_size))
        starts, ends = self._rotate(x[..., : self.head_size], x[..., self.head_size :])
        scores = ops.einsum("bthd,bshd->bhts", starts, ends) * self.head_size**-0.5
        return self._hide(scores, mask)


@register
class EfficientGlobalPointer(_Pointer):
    """`GlobalPointer` with few weights per type (Su Jianlin, kexue.fm/archives/8877; arXiv:2208.03054).

    One pair of vectors scores whether a span is any entity; each type adds a bias for the start and one for the end.

    Args:
        heads: number of span types H.
        head_size: size D of the vectors of a span's ends; even with RoPE.
        RoPE: rotate the vectors by their positions, so that scores know the length of a span.
        max_length: accepted for old scripts; rotary positions have no longest one.
        use_bias: add biases to the two projections.
        tril_mask: hide spans that end before they start.
        kernel_initializer: initializer of the kernels.
    """

    def build(self, input_shape):
        self.p_dense = self._project("p_dense", 2 * self.head_size, self._width(input_shape))
        self.q_dense = self._project("q_dense", 2 * self.heads, 2 * self.head_size)
        self.built = True

    def call(self, inputs, mask=None):
        """Return float32 scores (B, H, T, T); arguments as in `GlobalPointer.call`."""
        x = self.p_dense(inputs)
        biases = ops.transpose(ops.cast(self.q_dense(x), "float32"), (0, 2, 1)) / 2
        x = ops.cast(x, "float32")
        starts, ends = self._rotate(x[..., 0::2], x[..., 1::2])
        scores = ops.einsum("btd,bsd->bts", starts, ends) * self.head_size**-0.5
        scores = ops.expand_dims(scores, 1) + ops.expand_dims(biases[:, 0::2], 2) + ops.expand_dims(biases[:, 1::2], 3)
        return self._hide(scores, mask)
