"""Linear attention against weights of all pairs, its features against e^(q.k), Nystrom against softmax, generation."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from cases import build
from generating import assert_cached_is_whole, assert_constant, assert_rows_alone, tiny
from keras import ops

from bert4keras2.functional import feature_maps
from bert4keras2.layers import EfficientAttention, LinearAttention, MultiHeadAttention, NystromAttention
from bert4keras2.models import attention_maps

LENGTH, HEADS, SIZE = 9, 2, 4
RANDOM = np.random.RandomState(0)
# Keras computes in float64 on TensorFlow alone: on the others its result types are float32 at most.
WIDE = keras.backend.backend() == "tensorflow"
DTYPE, TOLERANCE = ("float64", 1e-10) if WIDE else ("float32", 2e-5)
X = RANDOM.standard_normal((2, LENGTH, 8)).astype(DTYPE)
REAL = np.arange(LENGTH)[None] < np.array([[9], [6]])
ROTARY = tuple(f(np.arange(LENGTH)[None, :, None] * 0.3 ** np.arange(2)).astype(DTYPE) for f in (np.sin, np.cos))


def made(cls, **options):
    layer = cls(HEADS, SIZE, dtype=DTYPE, **options)
    layer.build((None, None, 8))
    for name in "qkvo":
        dense = getattr(layer, f"{name}_dense")
        dense.kernel.assign(0.4 * np.random.RandomState(ord(name)).standard_normal((8, 8)))
        dense.bias.assign(0.1 * np.random.RandomState(ord(name) + 1).standard_normal(8))
    return layer


def numpy(x):
    return ops.convert_to_numpy(x)


def projected(layer):
    return [
        numpy(getattr(layer, f"{n}_dense")(X)).reshape(2, LENGTH, HEADS, SIZE).swapaxes(1, 2).astype("float64")
        for n in "qkv"
    ]


def turned(x):
    sin, cos = (table[:, None] for table in ROTARY)
    even, odd = x[..., 0::2], x[..., 1::2]
    return np.stack([even * cos - odd * sin, odd * cos + even * sin], -1).reshape(x.shape)


def merged(layer, x):
    return numpy(layer.o_dense(x.swapaxes(1, 2).reshape(2, LENGTH, 8).astype(DTYPE)))


def features(layer, x, query):
    if layer.kernel == "elu":
        return np.where(x > 0, x + 1, np.exp(np.minimum(x, 0)))
    if layer.kernel == "cosine":
        return np.concatenate([np.ones_like(x[..., :1]), x / np.linalg.norm(x, axis=-1, keepdims=True)], -1)
    x = x / SIZE**0.25
    if layer.kernel == "performer":
        rows = numpy(layer.directions).astype("float64")
        e = x @ rows.T - (x**2).sum(-1, keepdims=True) / 2
        return np.exp(e - e.max(-1, keepdims=True) if query else e) + 1e-6
    powers = [np.ones_like(x[..., :1])]
    for _ in range(layer.order):  # all of the tensor power, where the layer keeps each monomial once
        powers.append((powers[-1][..., :, None] * x[..., None, :]).reshape(*x.shape[:-1], -1))
    if layer.kernel == "taylor":
        return np.concatenate([p / np.sqrt(float(np.prod(range(1, r + 1)))) for r, p in enumerate(powers)], -1)
    n = layer.order  # the binomial theorem: (1 + q.k / n)^n
    weights = [np.prod([(n - j) / n / (j + 1) for j in range(r)]) for r in range(n + 1)]
    return np.concatenate([p * np.sqrt(w) for w, p in zip(weights, powers, strict=True)], -1)


def brute_force(layer, rotary, order=None):
    q, k, v = projected(layer)
    inside = layer.kernel in ("elu", "cosine")
    if rotary and not inside:
        q, k = turned(q), turned(k)
    q, k = features(layer, q, True), features(layer, k, False)
    shown = np.broadcast_to(REAL[:, None, None], (2, 1, LENGTH, LENGTH))
    if layer.causal:
        before = np.tril(np.ones((LENGTH, LENGTH), bool))
        both = False if order is None else ((order == 0)[:, :, None] & (order == 0)[:, None])[:, None]
        shown = shown & (before | both)
    total = np.where(shown, q @ k.swapaxes(-1, -2), 0).sum(-1, keepdims=True)
    if rotary and inside:
        part = slice(1 if layer.kernel == "cosine" else 0, None)
        q, k = q.copy(), k.copy()
        q[..., part], k[..., part] = turned(q[..., part]), turned(k[..., part])
    return merged(layer, np.where(shown, q @ k.swapaxes(-1, -2), 0) / total @ v)


KERNELS = [
    ("elu", {}, True),
    ("cosine", {}, False),
    ("performer", {"features": 10}, True),
    ("taylor", {"order": 4}, False),
    pytest.param("limit", {"order": 2}, True, marks=pytest.mark.breadth),
]


@pytest.mark.backend
@pytest.mark.parametrize(
    ("kernel", "options", "rotary"), KERNELS, ids=["elu", "cosine", "performer", "taylor", "limit"]
)
def test_sums_are_the_weights_of_all_pairs(kernel, options, rotary):
    inputs = {"attention_mask": ops.convert_to_tensor(REAL)}
    if rotary:
        inputs["rotary"] = tuple(ops.convert_to_tensor(t) for t in ROTARY)
    x = ops.convert_to_tensor(X)
    for causal in (False, True):
        layer = made(LinearAttention, kernel=kernel, causal=causal, **options)
        wanted = brute_force(layer, rotary)
        found, weights = layer(x, **inputs, return_weights=True)
        # Weights that may be negative divide by sums near 0: float32 loses digits there, and nowhere else.
        np.testing.assert_allclose(numpy(found), wanted, atol=TOLERANCE * max(1, np.abs(wanted).max()))
        shown = merged(layer, numpy(weights).astype("float64") @ projected(layer)[2])
        np.testing.assert_allclose(shown, wanted, atol=TOLERANCE * max(1, np.abs(wanted).max()))
    segments = (np.arange(LENGTH)[None] >= np.array([[3], [5]])).astype("int32")
    found = layer(x, **inputs, segment_ids=ops.convert_to_tensor(segments))
    wanted = brute_force(layer, rotary, np.cumsum(segments, 1))
    np.testing.assert_allclose(numpy(found), wanted, atol=TOLERANCE * max(1, np.abs(wanted).max()))


def test_polynomials_tend_to_the_exponential():
    q, k = np.random.RandomState(1).uniform(-1, 1, (2, 200, 4)) * 0.5
    dots = (q * k).sum(-1)

    def kernel(order, kind):
        index, weights = feature_maps.monomials(4, order, kind)
        parts = [np.prod(np.concatenate([np.ones((200, 1)), x], 1)[:, index], -1) * weights for x in (q, k)]
        return (parts[0] * parts[1]).sum(-1), len(weights)

    errors = []
    for order in (2, 4, 6):
        found, count = kernel(order, "taylor")
        errors.append(np.abs(found - np.exp(dots)).max())
        assert (found > 0).all()
    assert count == 210 and errors[0] > errors[1] > errors[2] and errors[2] < 1e-3  # C(4 + 6, 6) features
    np.testing.assert_allclose(kernel(4, "limit")[0], (1 + dots / 4) ** 4)
    assert feature_maps.monomials(4, 4)[0].shape == (70, 4)
    # (1 + x / N)^N: the error halves as N doubles.
    error = [abs((1 + 0.7 / n) ** n - np.exp(0.7)) for n in (16, 32, 64)]
    assert error[0] / error[1] == pytest.approx(2, rel=0.2) and error[1] / error[2] == pytest.approx(2, rel=0.2)


def test_random_features_estimate_the_exponential_without_bias():
    q, k = np.random.RandomState(2).standard_normal((2, 16))
    q, k = q / np.linalg.norm(q), k / np.linalg.norm(k)
    random = np.random.default_rng(0)

    def estimates(draw):
        rows = np.stack([draw() for _ in range(2000)])
        return np.exp(rows @ q - 0.5 + rows @ k - 0.5).mean(-1)

    orthogonal = estimates(lambda: feature_maps.orthogonal_rows(16, 16, random))
    independent = estimates(lambda: random.standard_normal((16, 16)))
    error = orthogonal.std() / 2000**0.5
    assert abs(orthogonal.mean() - np.exp(q @ k)) < 4 * error
    assert orthogonal.var() < independent.var()


@pytest.mark.backend
def test_landmarks_for_each_token_are_softmax_attention():
    exact = made(MultiHeadAttention)
    mask = ops.convert_to_tensor(REAL[:, None, None])
    wanted = numpy(exact(ops.convert_to_tensor(X), attention_mask=mask))
    layer = made(NystromAttention, landmarks=LENGTH, iterations=20)
    found, weights = layer(ops.convert_to_tensor(X), attention_mask=mask, return_weights=True)
    np.testing.assert_allclose(numpy(found), wanted, atol=1e-6 if WIDE else 1e-3)
    np.testing.assert_allclose(numpy(weights)[1, :, :, 6:], 0, atol=1e-6)
    layer = made(EfficientAttention)
    found, weights = layer(ops.convert_to_tensor(X), attention_mask=mask, return_weights=True)
    np.testing.assert_allclose(numpy(weights).sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(numpy(found), merged(layer, numpy(weights) @ projected(layer)[2]), atol=1e-5)


@pytest.mark.backend
@pytest.mark.parametrize(
    "options",
    [
        {"attention": "linear", "model": "roformer"},
        pytest.param({"attention": "performer"}, marks=[pytest.mark.slow, pytest.mark.breadth]),
    ],
)
def test_generation_keeps_a_constant_state(options):
    before, after = assert_cached_is_whole(tiny(**options, application="unilm"))
    assert_constant(before, after, 2)  # heads


@pytest.mark.backend
@pytest.mark.breadth
@pytest.mark.parametrize("attention", [{"type": "nystrom", "landmarks": 4, "convolution": 3}, "efficient", "taylor"])
def test_a_row_alone(attention):
    assert_rows_alone(tiny(attention=attention))


@pytest.mark.backend
@pytest.mark.breadth
def test_softmax_checkpoints_fit_and_directions_are_kept(tmp_path):
    transformer = build("bert-encoder")
    transformer.save_weights_as_checkpoint(str(tmp_path / "model.ckpt"))
    other = {"checkpoint_path": str(tmp_path / "model.ckpt"), "attention": {"type": "performer", "features": 6}}
    with pytest.warns(UserWarning, match="has no .*directions, .*options of the call added"):
        linear = tiny(num_hidden_layers=2, **other)
    ids = np.array([[4, 5, 6]])
    assert list(attention_maps(linear, ids).weights) == list(attention_maps(transformer, ids).weights)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention": "liner"}, "attention is 'softmax', .*; did you mean 'linear'"),
        ({"attention": {"type": "performer", "feature": 3}}, "no 'feature'; did you mean 'features'"),
        ({"attention": "nystrom", "application": "lm"}, "attention='nystrom' looks both ways.*'lm'"),
        ({"attention": "linear", "model": "nezha"}, "nezha has relative ones, which belong to pairs"),
        ({"attention": "linear", "model": "t5"}, "for models of one stack, and t5.1.0 has two"),
        ({"attention": "fourier", "model": "roformer"}, "no queries and keys that rotary positions could turn"),
        ({"attention": "linear", "residual_attention_scores": True}, "adds scores of softmax attention"),
        ({"attention": "linear", "key_norm": True}, "key_norm is for .*attention='linear'"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        tiny(**options)
