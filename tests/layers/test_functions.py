"""The functions under the layers against plain NumPy, and what layers do with masks, caches and losses."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
from keras import ops
from precision import allowed, distance, in_bfloat16, product_error

from bert4keras2 import layers
from bert4keras2.backend import Model, sinusoidal_embeddings
from bert4keras2.functional.functions import rotate, sinusoids
from bert4keras2.layers import attend
from bert4keras2.layers.relative_position import bucket

pytestmark = pytest.mark.backend
B, T, S, H, D = 2, 5, 7, 3, 4


def rand(*shape, seed=0):
    return np.random.RandomState(seed).standard_normal(shape).astype("float32")


def numpy(x):
    return ops.convert_to_numpy(x)


def tensors(*arrays):
    return [None if array is None else ops.convert_to_tensor(array) for array in arrays]


# -- attention ---------------------------------------------------------------------------------------------------


def plain_attend(q, k, v, mask=None, bias=None, relative=None, scale=None, method="softmax", previous=None):
    """Attention, one query and head at a time, in float64."""
    q, k, v = (x.astype("float64") for x in (q, k, v))
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    full = (len(q), q.shape[2], q.shape[1], k.shape[1])
    mask = np.ones(full, bool) if mask is None else np.broadcast_to(mask, full)
    bias = np.zeros(full) if bias is None else np.broadcast_to(bias, full)
    out = np.zeros((*q.shape[:3], v.shape[-1]))
    for b, h, t in np.ndindex(len(q), q.shape[2], q.shape[1]):
        keys, vals = k[b, :, h], v[b, :, h]
        if relative is not None:
            keys, vals = keys + relative[t], vals + relative[t]
        s = keys @ q[b, t, h] * scale + bias[b, h, t] + (0 if previous is None else previous[b, h, t])
        seen = mask[b, h, t]
        if method == "squared_relu":
            w = np.where(seen, np.maximum(s, 0) ** 2, 0) / max(seen.sum(), 1)
        else:
            if method == "softmax_plus":
                s = s * math.log(max(seen.sum(), 16)) / math.log(512)
            s = np.where(seen, s, -np.inf) if seen.any() else np.zeros_like(s)
            w = np.exp(s - s.max())
            w = w / w.sum()
        out[b, t, h] = w @ vals
    return out


MASK = np.arange(S) < np.array([5, 7])[:, None, None, None]
ATTEND = {
    "plain": {},
    "mask": {"mask": MASK},
    "mask of pairs": {"mask": np.tril(np.ones((T, S), bool))[None, None]},
    "bias": {"bias": rand(1, H, T, S, seed=4)},
    "bias and mask": {"bias": rand(1, H, T, S, seed=4), "mask": MASK},
    "relative": {"relative": rand(T, S, D, seed=5), "mask": MASK},
    "scale": {"scale": 1.0, "mask": MASK},
    "softmax_plus": {"method": "softmax_plus", "mask": MASK},
    "squared_relu": {"method": "squared_relu", "mask": MASK},
    "previous scores": {"previous": rand(B, H, T, S, seed=6), "mask": MASK},
}


@pytest.mark.parametrize("path", ["as chosen", "fused", "einsum"])
@pytest.mark.parametrize("name", ATTEND)
def test_attend(name, path, monkeypatch):
    """Both paths, whichever the backend prefers."""
    if path != "as chosen":
        monkeypatch.setattr("bert4keras2.layers.attention._prefers_fused", lambda *_: path == "fused")
    options = dict(ATTEND[name])
    q, k, v = rand(B, T, H, D), rand(B, S, H, D, seed=1), rand(B, S, H, D, seed=2)
    expected = plain_attend(q, k, v, **options)
    method, previous = options.pop("method", "softmax"), options.pop("previous", None)
    scale = options.pop("scale", None)
    named = {key: ops.convert_to_tensor(value) for key, value in options.items()}
    actual = attend(*tensors(q, k, v), **named, scale=scale, normalization=method, previous_scores=tensors(previous)[0])
    np.testing.assert_allclose(numpy(actual), expected, atol=1e-5)


def test_returned_scores():
    q, k, v = rand(B, T, H, D), rand(B, S, H, D, seed=1), rand(B, S, H, D, seed=2)
    _, scores = attend(*tensors(q, k, v, MASK), return_scores=True)
    np.testing.assert_allclose(numpy(scores), np.einsum("bthd,bshd->bhts", q, k) / 2, atol=1e-5)


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("method", ["softmax", "softmax_plus", "squared_relu"])
def test_half_precision_is_summed_in_float32(method, relative):
    """Over 4096 keys, sums in bfloat16 would lose most of their terms; TensorFlow's einsum forms such sums."""
    keys = 4096
    q, k = (in_bfloat16(rand(1, n, 1, 8, seed=n)) for n in (2, keys))
    v = in_bfloat16(1 + 0.1 * rand(1, keys, 1, 8, seed=3))
    pairs = in_bfloat16(0.1 * rand(2, keys, 8, seed=4)) if relative else None
    expected = attend(
        *tensors(q, k, v), relative=None if pairs is None else ops.convert_to_tensor(pairs), normalization=method
    )
    half = [None if x is None else ops.cast(x, "bfloat16") for x in (q, k, v, pairs)]
    actual = attend(*half[:3], relative=half[3], normalization=method)
    assert distance(actual, numpy(expected)) <= allowed(product_error())


def test_scores_that_nothing_divides_are_float32():
    q, k = (in_bfloat16(8 * rand(1, 5, 2, 16, seed=n)) for n in (1, 2))
    half = [ops.cast(x, "bfloat16") for x in (q, k, k)]
    _, scores = attend(*half, scale=1.0, return_scores=True)
    np.testing.assert_allclose(numpy(scores), np.einsum("bthd,bshd->bhts", q, k), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("bias", [None, rand(1, H, T, T, seed=4)])
@pytest.mark.parametrize("method", ["softmax", "softmax_plus", "squared_relu"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_nothing_visible(dtype, method, bias):
    """A mask that hides everything gives finite outputs and finite gradients."""
    layer = layers.MultiHeadAttention(
        H, D, normalization=method, dtype=f"mixed_{dtype}" if dtype != "float32" else dtype
    )
    hidden = np.zeros((B, 1, T, T), bool)
    hidden[1, :, :2] = True
    x = keras.Input((T, H * D))
    mask = keras.Input((1, T, T), dtype="bool")
    arguments = {} if bias is None else {"bias": ops.convert_to_tensor(bias)}
    model = Model([x, mask], layer(x, attention_mask=mask, **arguments))
    arrays = [rand(B, T, H * D), hidden]
    assert np.isfinite(numpy(ops.cast(model([ops.convert_to_tensor(a) for a in arrays]), "float32"))).all()
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=keras.backend.backend() == "tensorflow")
    assert np.isfinite(model.train_on_batch(arrays, rand(B, T, H * D)))
    assert all(np.isfinite(numpy(v)).all() for v in model.weights)


@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize("step", [1, 2])
def test_cached_attention_equals_full(rotary, step):
    """Tokens fed a few at a time, keys and values kept, give what the whole sequence under a causal mask gives."""
    length = 6
    layer = layers.MultiHeadAttention(H, D)
    x = ops.convert_to_tensor(rand(B, length, H * D))
    tables = sinusoids(ops.expand_dims(ops.arange(length), 0), D) if rotary else None
    causal = layers.causal_mask(ops.arange(length), ops.arange(length))[None, None]
    full = numpy(layer(x, attention_mask=causal, rotary=tables))
    cache = tuple(ops.zeros((B, H, length, D)) for _ in range(2))
    for start in range(0, length, step):
        now = None if tables is None else tuple(table[:, start : start + step] for table in tables)
        mask = layers.causal_mask(ops.arange(start, start + step), ops.arange(length))[None, None]
        y, cache = layer(x[:, start : start + step], attention_mask=mask, rotary=now, cache=cache, index=start)
        np.testing.assert_allclose(numpy(y), full[:, start : start + step], atol=1e-5)


def test_keras_masks_reach_attention():
    """Without an explicit mask the one that flows from the embedding hides keys, whatever else is passed."""
    ids = np.array([[3, 4, 5, 0, 0], [3, 4, 5, 6, 7]])
    embedding = layers.Embedding(10, H * D, mask_zero=True)
    other = layers.Embedding(10, H * D)
    layer = layers.MultiHeadAttention(H, D)
    table = tuple(ops.convert_to_tensor(a) for a in (rand(1, 5, D // 2), rand(1, 5, D // 2, seed=1)))
    explicit = ops.convert_to_tensor((ids != 0)[:, None, None])
    x = embedding(ops.convert_to_tensor(ids))
    query = other(ops.convert_to_tensor(ids[:, :3]))
    for arguments in ({}, {"rotary": table}):
        plain = ops.convert_to_tensor(numpy(x))
        np.testing.assert_allclose(
            numpy(layer(x, **arguments)), numpy(layer(plain, attention_mask=explicit, **arguments)), atol=1e-6
        )
        assert np.abs(numpy(layer(plain, **arguments)) - numpy(layer(x, **arguments)))[0].max() > 1e-4
    plain = ops.convert_to_tensor(numpy(x))
    np.testing.assert_allclose(
        numpy(layer(query, memory=x)), numpy(layer(query, memory=plain, attention_mask=explicit)), atol=1e-6
    )


# -- positions ---------------------------------------------------------------------------------------------------


def test_rotate():
    x, positions = rand(B, T, H, D), np.arange(T) + 3
    sin, cos = sinusoids(ops.convert_to_tensor(positions[None]), D)
    actual = numpy(rotate(ops.convert_to_tensor(x), sin[:, :, None], cos[:, :, None]))
    angles = positions[:, None] * 10000.0 ** (-2 * np.arange(D // 2) / D)
    turned = (x[..., 0::2] + 1j * x[..., 1::2]) * np.exp(1j * angles)[None, :, None]
    np.testing.assert_allclose(actual[..., 0::2], turned.real, atol=1e-5)
    np.testing.assert_allclose(actual[..., 1::2], turned.imag, atol=1e-5)


@pytest.mark.parametrize("cut", [np.s_[..., 1:], np.s_[..., :8], np.s_[..., 1::2], np.s_[..., 0, 1:]])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_part_of_a_tensor_is_rotated_as_its_copy_is(cut, dtype):
    """Wherever its numbers lie: pairs that start at odd places, or with others between them."""
    x = rand(2, 3, 5, 9)
    part = ops.cast(ops.convert_to_tensor(x), dtype)[cut]
    copy = ops.cast(ops.convert_to_tensor(x[cut].copy()), dtype)
    sin, cos = sinusoids(ops.convert_to_tensor(np.arange(3)[None] + 3), part.shape[-1])
    tables = [ops.reshape(table, (1, 3, *[1] * (len(part.shape) - 3), -1)) for table in (sin, cos)]
    turned = [rotate(tensor, *tables) for tensor in (part, copy)]
    assert [keras.backend.standardize_dtype(tensor.dtype) for tensor in turned] == [dtype] * 2
    np.testing.assert_array_equal(*(numpy(ops.cast(tensor, "float32")) for tensor in turned))


def test_rotation_is_relative():
    """The product of a query and a key depends on how far apart they are."""
    q, k = rand(1, 1, 1, 8), rand(1, 1, 1, 8, seed=1)

    def product(i, j):
        turned = [
            rotate(ops.convert_to_tensor(x), *(t[:, :, None] for t in sinusoids(ops.convert_to_tensor([[p]]), 8)))
            for x, p in ((q, i), (k, j))
        ]
        return float(numpy(ops.sum(turned[0] * turned[1])))

    assert product(5, 2) == pytest.approx(product(103, 100), abs=1e-4)
    assert abs(product(5, 2) - product(5, 3)) > 1e-3


def test_far_positions_keep_their_precision_under_mixed_policies():
    layer = layers.RotaryPosition(8, dtype="mixed_bfloat16")
    sin, _ = layer(ops.zeros((1, 600, 1)))
    np.testing.assert_allclose(numpy(sin)[0, :, 0], np.sin(np.arange(600)), atol=1e-4)
    with pytest.raises(ValueError, match="even width"):
        sinusoidal_embeddings(ops.arange(3), 5)


@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize(("buckets", "far"), [(32, 128), (16, 40)])
def test_bucket(both, buckets, far):
    distance = np.arange(-2 * far, 2 * far + 1)

    def one(d):
        n, offset, size = -d, 0, buckets
        if both:
            size //= 2
            offset, n = (size if n < 0 else 0), abs(n)
        n = max(n, 0)
        exact = size // 2
        if n < exact:
            return offset + n
        return offset + min(exact + int(math.log(n / exact) / math.log(far / exact) * (size - exact) + 1e-9), size - 1)

    actual = numpy(bucket(ops.convert_to_tensor(distance), buckets, far, both))
    np.testing.assert_array_equal(actual, [one(d) for d in distance])


# -- masks and pooling -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("application", ["encoder", "lm", "unilm"])
@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_attention_mask(application, dtype):
    tokens = np.array([[0, 5, 0, 6, 0], [7, 8, 9, 10, 11]], dtype)
    segments = np.array([[0, 0, 0, 1, 1], [0, 1, 1, 1, 1]], dtype)
    arguments = {"segment_ids": ops.convert_to_tensor(segments)} if application == "unilm" else {}
    actual = numpy(layers.AttentionMask(application)(ops.convert_to_tensor(tokens), **arguments))
    expected = np.zeros((2, 5, 5), bool)
    for b, i, j in np.ndindex(2, 5, 5):
        visible = tokens[b, j] != 0 or j == 0
        if application == "lm":
            visible = visible and j <= i
        elif application == "unilm":
            visible = visible and (segments[b, j] == 0 or (segments[b, i] == 1 and j <= i))
        expected[b, i, j] = visible
    np.testing.assert_array_equal(np.broadcast_to(actual[:, 0], expected.shape), expected)
    assert actual.shape == (2, 1, 1 if application == "encoder" else 5, 5) and actual.dtype == bool


def test_attention_mask_errors():
    with pytest.raises(ValueError, match="application is"):
        layers.AttentionMask("gpt")
    with pytest.raises(ValueError, match="needs segment ids"):
        layers.AttentionMask("unilm")(ops.ones((1, 3), dtype="int32"))


@pytest.mark.parametrize("cls", ["GlobalAveragePooling1D", "GlobalMaxPooling1D"])
def test_pooling_ignores_what_masked_positions_hold(cls):
    x, mask = rand(2, 4, 3), np.array([[1, 1, 0, 0], [1, 1, 1, 1]], bool)
    expected = [getattr(row[m], "mean" if "Average" in cls else "max")(0) for row, m in zip(x, mask, strict=True)]
    x[0, 2:] = np.nan
    x[0, 3] = np.inf
    actual = getattr(layers, cls)()(ops.convert_to_tensor(x), mask=ops.convert_to_tensor(mask))
    np.testing.assert_allclose(numpy(actual), expected, atol=1e-6)
    empty = getattr(layers, cls)()(ops.convert_to_tensor(x), mask=ops.zeros((2, 4), dtype="bool"))
    assert np.isfinite(numpy(empty)).all()


def test_average_over_long_texts_in_half_precision():
    """The sum and the count of more positions than a half-precision number can count are still right."""
    layer = layers.GlobalAveragePooling1D(dtype="mixed_bfloat16")
    x = np.ones((1, 600, 1), "float32")
    mask = np.arange(600)[None] < 515
    np.testing.assert_allclose(
        numpy(ops.cast(layer(ops.convert_to_tensor(x), mask=ops.convert_to_tensor(mask)), "float32")), 1, atol=1e-2
    )
