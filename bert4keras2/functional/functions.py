"""Functions on tensors that layers and training scripts share, over keras.ops."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

__all__ = [
    "align",
    "apply_rotary_position_embeddings",
    "attention_normalize",
    "batch_gather",
    "divisible_temporal_padding",
    "hiding",
    "is_torch_tensor",
    "masked_mean",
    "most_negative",
    "pool1d",
    "root_mean_square",
    "sequence_masking",
    "sinusoidal_embeddings",
    "visible_only",
    "wide",
]

# Asked once: it runs hundreds of times for each token. The backend cannot change after Keras is imported.
ON_TORCH = keras.backend.backend() == "torch"
# Length at which the logits of "softmax_plus" keep their scale, and the length below which they stop shrinking.
SOFTMAX_PLUS_LENGTH, SOFTMAX_PLUS_FLOOR = 512, 16


def most_negative(dtype: Any) -> float:
    """Return a finite value of `dtype` that a softmax turns into zero and that never overflows when added to."""
    return -3e4 if "float16" in str(dtype) and "bfloat16" not in str(dtype) else -1e30


def wide(x):
    """Return a tensor in float32, or in float64 if it is that: what sums and exponentials are computed in."""
    return x if "float64" in str(x.dtype) else ops.cast(x, "float32")


def align(tensor, axes: list[int], ndim: int | None = None):
    """Return `tensor` with its axes moved to the positions `axes` of a tensor of rank `ndim`, other axes being 1.

    Args:
        tensor: a tensor of rank len(axes).
        axes: increasing positions, negative ones counted from the end.
        ndim: the rank of the result; max(axes) + 1 if None.
    """
    if len(axes) != len(tensor.shape):
        raise ValueError(f"align() got {len(axes)} axes for a tensor of rank {len(tensor.shape)}")
    ndim = ndim or max(axes) + 1
    axes = [axis % ndim for axis in axes]
    if axes != sorted(set(axes)):
        raise ValueError(f"align() needs increasing axes, not {axes}")
    for axis in range(ndim):
        if axis not in axes:
            tensor = ops.expand_dims(tensor, axis)
    return tensor


def _fill(x, mask, value):
    """Return `x` where `mask` is true and `value` ("inf", "-inf" or a number) elsewhere."""
    number = float(value)
    return ops.where(mask, x, ops.cast(number, x.dtype))


def sequence_masking(x, mask=None, value: float | str = 0, axis: int | None = None, bias=None):
    """Replace the masked positions of a sequence and add a bias.

    Args:
        x: (B, ..., T, ...) tensor.
        mask: (B, T), true or 1 at real positions; None keeps all.
        value: what masked positions become; a number, "inf" or "-inf" (both are true infinities).
        axis: the axis of T in `x`, 1 by default.
        bias: a tensor that broadcasts to `x`: a boolean one masks (as `mask` does), a float one is added.

    Returns:
        A tensor of the shape of `x`.
    """
    if mask is None and bias is None:
        return x
    visible = None
    if mask is not None:
        axis = (1 if axis is None else axis) % len(x.shape)
        visible = align(ops.cast(mask, "bool"), [0, axis], len(x.shape))
    if bias is not None:
        while len(bias.shape) > 2 and len(bias.shape) < len(x.shape):
            bias = ops.expand_dims(bias, 1)
        if _is_bool(bias):
            visible = bias if visible is None else ops.logical_and(visible, bias)
        else:
            x = x + ops.cast(bias, x.dtype)
    return x if visible is None else _fill(x, visible, value)


def _is_bool(x) -> bool:
    return "bool" in str(x.dtype)


def attention_normalize(a, mask=None, axis: int = -1, method: str = "softmax", bias=None):
    """Turn attention scores into weights.

    Args:
        a: (B, ..., T, S) scores.
        mask: (B, S), true at visible keys; None shows all.
        axis: the axis of the keys.
        method: "softmax"; "squared_relu" (Hua et al., arXiv:2202.10447: relu(a)^2 / number of keys);
            "softmax_plus" (softmax of a * log(n) / log(512) with n the number of keys, at least 16;
            Su Jianlin, kexue.fm/archives/9019); "none" returns masked scores.
        bias: boolean (a mask) or float (added), broadcast to `a`.

    Returns:
        Weights of the shape of `a`; a row without a visible key is finite.

    Raises:
        ValueError: for an unknown method.
    """
    a = ops.convert_to_tensor(a)
    if method == "none":
        return sequence_masking(a, mask, "-inf", axis, bias)
    bool_bias = bias is not None and _is_bool(bias)
    visible = None
    if mask is not None or bool_bias:
        visible = sequence_masking(ops.ones_like(a), mask, 0, axis, bias if bool_bias else None) > 0
    scores = sequence_masking(a, None, 0, axis, None if bool_bias else bias)
    return normalize_scores(scores, visible, method, axis)


def scaled_matmul(a, b, scale: float):
    """Return the products of matrices times a number, which costs no pass over the products.

    Args:
        a: (..., T, D), of three axes at least.
        b: (..., D, S).
        scale: the number.

    Returns:
        (..., T, S), of the type of `a` or in float32.
    """
    if scale == 1.0:
        return ops.matmul(a, b)
    if any(kind in str(a.dtype) for kind in ("float32", "float64")):
        return ops.matmul(a * scale, b)
    # Half precision would round the smaller factor.
    if keras.backend.backend() != "torch":
        return ops.cast(ops.matmul(a, b), "float32") * scale
    import torch

    flat = torch.baddbmm(a.new_zeros(1, 1, 1), a.flatten(0, -3), b.flatten(0, -3), beta=0, alpha=scale)
    return flat.unflatten(0, a.shape[:-2])


def normalize_scores(scores, visible=None, method: str = "softmax", axis: int = -1):
    """Turn scores into attention weights, given which keys are visible.

    Args:
        scores: (..., S) scores in float32 or the compute dtype.
        visible: boolean, broadcasts to `scores`; None shows all.
        method: as in `attention_normalize`.
        axis: the axis of the keys.
    """
    if method == "squared_relu":
        return visible_only(ops.square(ops.relu(scores)), visible) / _count(scores, visible, axis, floor=1)
    if method == "softmax_plus":
        count = _count(scores, visible, axis, floor=SOFTMAX_PLUS_FLOOR)
        scores = scores * ops.cast(ops.log(count) / np.log(SOFTMAX_PLUS_LENGTH), scores.dtype)
    elif method != "softmax":
        raise ValueError(f"Unknown normalization {method!r}; known are softmax, softmax_plus, squared_relu and none")
    if visible is not None:
        # Added, what hides keys has no part in gradients: two passes over the scores less than by selection.
        scores = scores + hiding(visible, scores.dtype)
    if scores.shape[axis] == 1:
        return ops.ones_like(scores)  # a single key; softmax would warn
    return ops.softmax(scores, axis=axis)


def hiding(visible, dtype):
    """Return what is added to scores of a type so that hidden keys get no weight: 0, or the most negative number."""
    low = most_negative(keras.backend.standardize_dtype(dtype))
    if is_torch_tensor(visible):
        import torch

        return torch.where(visible, 0.0, low).to(dtype)  # Keras' would put the number on a GPU, and wait for it
    low = ops.cast(low, dtype)
    return ops.where(visible, ops.zeros_like(low), low)


def _count(scores, visible, axis: int, floor: int):
    """Return the number of visible keys per query, at least `floor`, with `axis` kept."""
    if visible is None:
        return ops.cast(ops.maximum(ops.shape(scores)[axis], floor), scores.dtype)
    if visible.shape[axis] is None or visible.shape[axis] != scores.shape[axis]:
        visible = ops.logical_and(visible, ops.ones_like(scores, dtype="bool"))
    # Counted before it is spread over queries and heads: one number in place of a pass over all scores.
    count = ops.sum(ops.cast(visible, scores.dtype), axis=axis, keepdims=True)
    return ops.maximum(count, ops.cast(floor, scores.dtype))


def visible_only(x, visible):
    """Return x with zeros where `visible`, which broadcasts to it, is false; None shows all.

    What is hidden may hold anything, infinity too, so it is replaced and not multiplied by zero.
    """
    return x if visible is None else ops.where(visible, x, ops.cast(0, x.dtype))


def sinusoidal_embeddings(pos, dim: int, base: float = 10000):
    """Return sinusoidal position vectors, sine and cosine interleaved (Vaswani et al., arXiv:1706.03762).

    Args:
        pos: (...) positions, integer or float.
        dim: even width of a vector.
        base: base of the geometric progression of wave lengths.

    Returns:
        (..., dim) float32; entry 2i is sin(pos * base^(-2i/dim)), entry 2i+1 its cosine.
    """
    sin, cos = sinusoids(pos, dim, base)
    stacked = ops.stack([sin, cos], axis=-1)
    return ops.reshape(stacked, (*ops.shape(pos), dim))


def sinusoids(pos, dim: int, base: float = 10000):
    """Return the sines and cosines of `sinusoidal_embeddings` as two (..., dim // 2) float32 tensors."""
    if dim % 2:
        raise ValueError(f"Sinusoidal positions need an even width, not {dim}")
    frequencies = np.power(float(base), -2.0 * np.arange(dim // 2) / dim).astype("float32")
    angles = ops.expand_dims(ops.cast(pos, "float32"), -1) * ops.convert_to_tensor(frequencies)
    return ops.sin(angles), ops.cos(angles)


def is_torch_tensor(tensor: Any) -> bool:
    """Whether a value is a tensor of PyTorch: its own methods take less time than Keras' ops to call."""
    if not ON_TORCH:
        return False
    import torch

    # Of most tensors it is the type itself; PyTorch's own check of instances takes ten times as long.
    return type(tensor) is torch.Tensor or isinstance(tensor, torch.Tensor)


def rotate(x, sin, cos):
    """Rotate neighbouring pairs of the last axis by given angles (RoPE, Su et al., arXiv:2104.09864).

    Args:
        x: (..., D) tensor with D even.
        sin, cos: (..., D // 2), broadcast to the pairs of `x`.
    """
    if is_torch_tensor(x) and is_torch_tensor(sin):
        return _rotate_torch(x, sin.to(x.dtype), cos.to(x.dtype))
    even, odd = x[..., 0::2], x[..., 1::2]
    sin, cos = ops.cast(sin, x.dtype), ops.cast(cos, x.dtype)
    shape = ops.shape(x)
    rotated = ops.stack([even * cos - odd * sin, odd * cos + even * sin], axis=-1)
    return ops.reshape(rotated, shape)


def _rotate_torch(x, sin, cos):
    """Rotate pairs in PyTorch: products of complex numbers, one pass in place of seven over every other number.

    There are none of half precision, and torch.compile generates no code for them: those take real numbers.
    """
    import torch

    if x.dtype not in (torch.float32, torch.float64) or torch.compiler.is_compiling():
        even, odd = x[..., 0::2], x[..., 1::2]
        return torch.stack([even * cos - odd * sin, odd * cos + even * sin], dim=-1).flatten(-2)
    if x.stride(-1) != 1 or x.storage_offset() % 2 or any(step % 2 for step in x.stride()[:-1]):
        x = x.clone(memory_format=torch.contiguous_format)  # pairs have to lie where complex numbers may
    turned = torch.view_as_complex(x.unflatten(-1, (-1, 2))) * torch.complex(cos, sin)
    return torch.view_as_real(turned).flatten(-2)


def apply_rotary_position_embeddings(sinusoidal, *tensors):
    """Apply rotary positions to one or more tensors.

    Args:
        sinusoidal: (B | 1, T, D) output of `sinusoidal_embeddings`.
        *tensors: (B, T, D) or (B, T, H, D) tensors.

    Returns:
        The rotated tensor, or a list of them if several were given.
    """
    if not tensors:
        raise ValueError("apply_rotary_position_embeddings() needs at least one tensor after the sinusoidal table")
    sin, cos = sinusoidal[..., 0::2], sinusoidal[..., 1::2]
    outputs = []
    for tensor in tensors:
        axes = [0, 1, len(tensor.shape) - 1]
        outputs.append(rotate(tensor, align(sin, axes), align(cos, axes)))
    return outputs[0] if len(outputs) == 1 else outputs


def batch_gather(params, indices):
    """Pick rows per batch element: (B, S, ...) and (B, N) integer indices give (B, N, ...)."""
    indices = ops.cast(indices, "int32")
    extra = len(params.shape) - 2
    index = align(indices, [0, 1], 2 + extra)
    shape = (*ops.shape(indices), *ops.shape(params)[2:])
    return ops.take_along_axis(params, ops.broadcast_to(index, shape), axis=1)


def masked_mean(x: Any, mask: Any) -> Any:
    """Return (B, C): the mean of x (B, T, C) over positions that a mask (B, T) shows; zeros for a row without any."""
    weights = align(ops.cast(mask, x.dtype), [0, 1], 3)
    total = ops.sum(visible_only(x, weights > 0), axis=1)
    return total / ops.maximum(ops.sum(weights, axis=1), 1)


def divisible_temporal_padding(x, n: int):
    """Pad axis 1 of (B, T, ...) with zeros at the end until its length is a multiple of `n`."""
    missing = -ops.shape(x)[1] % n
    return ops.pad(x, [[0, 0], [0, missing], *([[0, 0]] * (len(x.shape) - 2))])


def pool1d(x, pool_size: int, strides: int = 1, padding: str = "valid", data_format=None, pool_mode: str = "max"):
    """Pool (B, T, C) over T by "max" or "avg"."""
    pools = {"max": ops.max_pool, "avg": ops.average_pool}
    if pool_mode not in pools:
        raise ValueError(f"pool1d() knows pool_mode 'max' and 'avg', not {pool_mode!r}")
    return pools[pool_mode](x, pool_size, strides=strides, padding=padding, data_format=data_format)


def root_mean_square(x, axis=None, keepdims: bool = False):
    """Return the square root of the mean of squares over `axis`."""
    return ops.sqrt(ops.mean(ops.square(x), axis=axis, keepdims=keepdims))
