"""Attention through landmarks: the Nystrom method, and attention whose rows are products of two softmaxes."""

from __future__ import annotations

from typing import Any

from keras import ops

from bert4keras2.functional.functions import normalize_scores, visible_only, wide
from bert4keras2.layers.base import register
from bert4keras2.layers.mixing.projected import Projected
from bert4keras2.layers.mixing.visibility import visibility

__all__ = ["EfficientAttention", "NystromAttention"]

# Shape legend: B batch, T length, H heads, D head size, M landmarks.


def _tokens(x: Any, attention_mask: Any, mask: Any) -> Any:
    """Return (B, T) booleans, true at real tokens."""
    tokens = visibility(x, attention_mask if attention_mask is not None else mask, None, False).tokens
    return ops.ones_like(x[:, :, 0], dtype="bool") if tokens is None else tokens


@register
class NystromAttention(Projected):
    """Softmax attention approximated through landmarks (Xiong et al., arXiv:2102.03902); it looks both ways.

    softmax(Q K'^T) pinv(softmax(Q' K'^T)) softmax(Q' K^T) V, where Q' and K' are means of queries and keys over M
    consecutive parts of a text. Real tokens alone are counted, so a row's result does not depend on its padding; a
    text of up to M tokens has a landmark for each.

    Args:
        landmarks: M.
        iterations: steps to the pseudo-inverse. They regularise: an exact inverse is worse where M is small.
        convolution: width of a convolution of each channel of the values that is added; None for none.
        **kwargs: those of `Projected`.
    """

    by_token = True

    def __init__(
        self,
        heads: int,
        head_size: int,
        landmarks: int = 64,
        iterations: int = 6,
        convolution: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(heads, head_size, **kwargs)
        self.landmarks, self.iterations, self.convolution = landmarks, iterations, convolution

    def build(self, input_shape):
        self.build_projections(input_shape)
        if self.convolution:
            self.filter = self.add_weight(
                name="filter", shape=(self.convolution, 1, self.heads, 1), initializer="glorot_uniform"
            )
        self.built = True

    def call(self, x, attention_mask=None, rotary=None, mask=None, return_weights: bool = False):
        """Return (B, T, out_dim) for x (B, T, C); with return_weights also the weight of each pair (B, H, T, T).

        Args:
            x: (B, T, C).
            attention_mask: (B, 1, 1, T) or (B, T) booleans, true at real tokens; if None, the Keras mask (B, T).
            rotary: (sin, cos) of the positions, each (1 | B, T, D / 2).
            return_weights: write the weights out, to be looked at.
        """
        tokens = _tokens(x, attention_mask, mask)
        query, key, value = self.project(x, rotary)
        if self.attention_scale:
            query, key = query * self.key_size**-0.25, key * self.key_size**-0.25
        share, used = landmark_shares(tokens, self.landmarks)
        share = ops.cast(share, query.dtype)
        query_marks, key_marks = ops.matmul(share, query), ops.matmul(share, key)  # (B, H, M, D)
        marks = ops.expand_dims(ops.expand_dims(used, 1), 1)  # (B, 1, 1, M)
        left = self._softmax(query, key_marks, marks)
        middle = self._softmax(query_marks, key_marks, marks)
        middle = visible_only(middle, ops.expand_dims(ops.expand_dims(used, 1), -1))
        right = self._softmax(query_marks, key, ops.expand_dims(ops.expand_dims(tokens, 1), 1))
        inverse = pseudo_inverse(middle, self.iterations)
        left = ops.matmul(left, inverse)
        shown = ops.expand_dims(ops.expand_dims(tokens, 1), -1)
        value = visible_only(value, shown)
        mixed = ops.cast(ops.matmul(left, ops.matmul(right, wide(value))), value.dtype)
        if self.convolution:
            mixed = mixed + self._convolved(value)
        output = self.merge(mixed)
        return (output, ops.matmul(left, right)) if return_weights else output

    @staticmethod
    def _softmax(query, key, shown):
        scores = wide(ops.matmul(query, ops.swapaxes(key, -1, -2)))
        return normalize_scores(scores, shown, "softmax")

    def _convolved(self, value):
        """Return (B, H, T, D): each head's values summed with those around them, by weights of the head."""
        x = ops.transpose(value, (0, 2, 3, 1))  # (B, T, D, H)
        kernel = ops.reshape(ops.cast(self.filter, x.dtype), (self.convolution, 1, self.heads, 1))
        return ops.transpose(ops.depthwise_conv(x, kernel, padding="same"), (0, 3, 1, 2))

    def get_config(self) -> dict[str, Any]:
        names = "landmarks iterations convolution"
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}


@register
class EfficientAttention(Projected):
    """Attention of two softmaxes: of queries over their features, of keys over positions (arXiv:1812.01243).

    The weights of a query sum to 1 without a division; it looks both ways.

    Args:
        **kwargs: those of `Projected`.
    """

    by_token = True

    def build(self, input_shape):
        self.build_projections(input_shape)
        self.built = True

    def call(self, x, attention_mask=None, rotary=None, mask=None, return_weights: bool = False):
        """Return (B, T, out_dim) for x (B, T, C), as `NystromAttention` does; positions turn queries and keys."""
        tokens = _tokens(x, attention_mask, mask)
        query, key, value = (wide(tensor) for tensor in self.project(x, rotary))
        query = ops.softmax(query, axis=-1)
        shown = ops.expand_dims(ops.expand_dims(tokens, 1), -1)
        key = normalize_scores(key, shown, "softmax", axis=2)
        key, value = (visible_only(tensor, shown) for tensor in (key, value))
        mixed = ops.matmul(query, ops.matmul(ops.swapaxes(key, -1, -2), value))
        output = self.merge(ops.cast(mixed, self.compute_dtype))
        return (output, ops.matmul(query, ops.swapaxes(key, -1, -2))) if return_weights else output


def landmark_shares(tokens: Any, landmarks: int) -> tuple[Any, Any]:
    """Return which share each token has in each landmark, and which landmarks have any.

    The r-th of n real tokens belongs to landmark r * M // n, or r where there are no more than M.

    Args:
        tokens: (B, T) booleans, true at real tokens.
        landmarks: M.

    Returns:
        (B, 1, M, T) float32 whose rows sum to 1 or 0, and (B, M) booleans.
    """
    real = ops.cast(tokens, "int32")
    count = ops.sum(real, axis=1, keepdims=True)
    rank = ops.cumsum(real, axis=1) - 1
    place = rank * landmarks // ops.maximum(count, landmarks)
    names = ops.reshape(ops.arange(landmarks, dtype="int32"), (1, -1, 1))
    owner = ops.logical_and(ops.equal(ops.expand_dims(place, 1), names), ops.expand_dims(tokens, 1))
    owner = ops.cast(owner, "float32")
    total = ops.sum(owner, axis=-1, keepdims=True)
    return ops.expand_dims(owner / ops.maximum(total, 1), 1), total[..., 0] > 0


def pseudo_inverse(matrix: Any, iterations: int) -> Any:
    """Return the pseudo-inverse of matrices (..., M, M) after some steps of an iteration of third order.

    Z <- Z (13 I - A Z (15 I - A Z (7 I - A Z))) / 4 from Z = A^T / (|A|_1 |A|_inf), each matrix by its own norms.
    """
    size = ops.shape(matrix)[-1]
    unit = ops.eye(size, dtype=matrix.dtype)
    sizes = ops.abs(matrix)
    columns = ops.max(ops.sum(sizes, axis=-2), axis=-1)
    rows = ops.max(ops.sum(sizes, axis=-1), axis=-1)
    inverse = ops.swapaxes(matrix, -1, -2) / ops.expand_dims(ops.expand_dims(columns * rows + 1e-30, -1), -1)
    for _ in range(iterations):
        product = ops.matmul(matrix, inverse)
        inner = 15 * unit - ops.matmul(product, 7 * unit - product)
        inverse = 0.25 * ops.matmul(inverse, 13 * unit - ops.matmul(product, inner))
    return inverse
