"""FLASH: the chunked form against the weights of all pairs, the gated unit, rows alone, and generation by its cache."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from cases import run
from generating import assert_cached_is_whole, assert_constant, assert_rows_alone, tiny

from bert4keras2.layers import (
    FourierMixing,
    GatedAttentionUnit,
    LinearAttention,
    MixedChunkAttention,
    NystromAttention,
)
from bert4keras2.models import build_transformer_model

pytestmark = pytest.mark.backend
LENGTH, SIZE, UNITS, KEY = 10, 4, 6, 4
# Keras computes in float64 on TensorFlow alone: on the others its result types are float32 at most.
TOLERANCE = 1e-12 if keras.backend.backend() == "tensorflow" else 1e-5
RANDOM = np.random.RandomState(0)
X = RANDOM.standard_normal((2, LENGTH, 8))
REAL = np.arange(LENGTH)[None] < np.array([[10], [7]])
ROTARY = tuple(f(np.arange(LENGTH)[None, :, None] * 0.3 ** np.arange(KEY // 2)) for f in (np.sin, np.cos))


def layer(**options):
    made = MixedChunkAttention(UNITS, KEY, **{"chunk_size": SIZE, "dtype": "float64", **options})
    made.build((None, None, 8))
    for variable in made.weights:
        # A deviation of its own for each, so that exchanged maps show.
        variable.assign(np.random.RandomState(len(variable.path)).standard_normal(variable.shape))
    return made


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def tensors(*arrays):
    return [keras.ops.convert_to_tensor(array) for array in arrays]


def rotated(x):
    sin, cos = ROTARY
    even, odd = x[..., 0::2], x[..., 1::2]
    return np.stack([even * cos - odd * sin, odd * cos + even * sin], -1).reshape(x.shape)


def brute_force(made, real, order=None):
    """Return the layer's output by one weight for each pair of tokens."""
    value = {path.split("/", 1)[-1]: numpy(v) for path, v in ((w.path, w) for w in made.weights)}
    hidden = X @ value["i_dense/kernel"] + value["i_dense/bias"]
    hidden = hidden / (1 + np.exp(-hidden))
    gate, v, z = hidden[..., :UNITS], hidden[..., UNITS : 2 * UNITS], hidden[..., 2 * UNITS :]
    names = ("q", "k", "linear_q", "linear_k")
    q, k, lq, lk = (rotated(z * value[f"{n}_scaleoffset/gamma"] + value[f"{n}_scaleoffset/beta"]) for n in names)
    place = np.arange(LENGTH)
    chunk, later = place // SIZE, place[None] > place[:, None]
    same = chunk[None] == chunk[:, None]
    scores = q @ k.swapaxes(1, 2) / KEY**0.5
    if made.relative_bias:
        distance = np.clip(place[None] - place[:, None] + SIZE - 1, 0, 2 * SIZE - 2)
        scores = scores + value["distance_bias"][distance]
    shown = np.repeat(real[:, None], LENGTH, 1)
    near, far = same & shown, shown
    if made.causal:
        near, far = near & ~later, shown & (chunk[None] < chunk[:, None])
    if order is not None:
        source = (order == 0)[:, :, None]
        near = same & shown & (order[:, None] <= order[:, :, None])
        far = np.where(source, shown & (order == 0)[:, None], far)
    weights = np.where(near, np.maximum(scores, 0) ** 2, 0) / np.maximum(near.sum(-1, keepdims=True), 1)
    weights = weights + np.where(far, lq @ lk.swapaxes(1, 2), 0) / np.maximum(far.sum(-1, keepdims=True), 1)
    return (gate * (weights @ v)) @ value["o_dense/kernel"] + value["o_dense/bias"]


@pytest.mark.parametrize("causal", [False, True])
def test_chunks_are_the_weights_of_all_pairs(causal):
    made = layer(causal=causal, relative_bias=True)
    for real in (REAL, np.ones_like(REAL)):
        mask = None if real.all() else keras.ops.convert_to_tensor(real)
        found = numpy(made(*tensors(X), attention_mask=mask, rotary=tensors(*ROTARY)))
        np.testing.assert_allclose(found, brute_force(made, real), atol=TOLERANCE * np.abs(found).max())


def test_unilm_sees_its_source_both_ways():
    made = layer(causal=True)
    segments = (np.arange(LENGTH)[None] >= np.array([[3], [6]])).astype("int32")
    found = numpy(
        made(*tensors(X), attention_mask=tensors(REAL)[0], rotary=tensors(*ROTARY), segment_ids=tensors(segments)[0])
    )
    expected = brute_force(made, REAL, np.cumsum(segments, 1))
    np.testing.assert_allclose(found, expected, atol=TOLERANCE * np.abs(found).max())


def test_one_chunk_is_the_gated_unit_and_no_linear_part_is_blocks_of_it():
    made, unit = layer(causal=True, chunk_size=LENGTH), GatedAttentionUnit(UNITS, KEY, dtype="float64")
    unit.build((None, None, 8))
    by_name = {w.path.split("/", 1)[-1]: w for w in made.weights}
    for variable in unit.weights:
        variable.assign(by_name[variable.path.split("/", 1)[-1]])
    place = np.arange(LENGTH)
    before = place[None] <= place[:, None]
    mask = tensors((REAL[:, None] & before)[:, None])[0]
    whole = numpy(unit(*tensors(X), attention_mask=mask, rotary=tensors(*ROTARY)))
    inputs = {"attention_mask": tensors(REAL)[0], "rotary": tensors(*ROTARY)}
    np.testing.assert_allclose(numpy(made(*tensors(X), **inputs)), whole, rtol=1e-5, atol=1e-5 * np.abs(whole).max())
    blocks = layer(causal=True)
    for w in blocks.weights:
        w.assign(0 * w if "linear_k" in w.path else by_name[w.path.split("/", 1)[-1]])
    same = place[None] // SIZE == place[:, None] // SIZE
    mask = tensors((REAL[:, None] & before & same)[:, None])[0]
    parts = numpy(unit(*tensors(X), attention_mask=mask, rotary=tensors(*ROTARY)))
    np.testing.assert_allclose(numpy(blocks(*tensors(X), **inputs)), parts, rtol=1e-5, atol=1e-5 * np.abs(whole).max())


TINY = {"attention_key_size": 4, "chunk_size": 4, "model": "flash", "chunk_bias": True}


@pytest.mark.breadth
@pytest.mark.parametrize("application", [pytest.param("lm", marks=pytest.mark.slow), "unilm"])
def test_generation_by_a_cache_that_does_not_grow(application):
    before, after = assert_cached_is_whole(tiny(**TINY, application=application))
    assert_constant(before, after, 24)  # a chunk, or a width


@pytest.mark.breadth
def test_generation_in_half_precision():
    """A step has no axis of chunks; probabilities of 1 at most, from scores of some 2^2 with errors of 2^-8 of each."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        transformer = tiny(**TINY, application="lm")
    finally:
        keras.config.set_dtype_policy("float32")
    assert_cached_is_whole(transformer, atol=2**-5)


@pytest.mark.breadth
def test_a_row_alone_and_a_folder(tmp_path):
    transformer = tiny(**TINY)
    assert_rows_alone(transformer)
    ids = np.where(REAL, RANDOM.randint(1, 40, REAL.shape), 0)
    both = run(transformer.model, [ids, 0 * ids])[0]
    transformer.save_pretrained(tmp_path)
    again = build_transformer_model(str(tmp_path))
    np.testing.assert_allclose(run(again, [ids, 0 * ids])[0], both, atol=1e-5)


@pytest.mark.breadth
@pytest.mark.parametrize("kind", ["flash", "linear"])
def test_sums_are_not_rounded_in_half_precision(kind):
    """257 is none of bfloat16's numbers: one more than 256 would be 256."""
    if kind == "flash":
        made, name = MixedChunkAttention(UNITS, KEY, chunk_size=SIZE, causal=True, dtype="mixed_bfloat16"), "sums"
    else:
        made, name = LinearAttention(2, 4, causal=True, dtype="mixed_bfloat16"), "state_0"
    x = keras.ops.cast(tensors(X.astype("float32"))[0], "bfloat16")
    _, cache = made(x[:, :5], cache={})
    found = []
    for start in (256.0, 257.0):
        begun = {**cache, name: cache[name] * 0 + start}
        found.append(made(x[:, 5:6], cache=begun, positions=tensors(np.full((2, 1), 5))[0])[1][name])
    assert [keras.backend.standardize_dtype(sums.dtype) for sums in found] == ["float32"] * 2
    np.testing.assert_allclose(numpy(found[1] - found[0]), 1, atol=2**-14)  # float32 has steps of 2^-15 there


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="attention_mask is .* true at real tokens"):
        layer()(*tensors(X), attention_mask=tensors(np.ones((2, 1, LENGTH, LENGTH), bool))[0])
    inputs = keras.Input((None, 8)), keras.Input((1, None, None), dtype="bool")
    for each in (layer(), LinearAttention(2, 4), FourierMixing(), NystromAttention(2, 4)):
        with pytest.raises(ValueError, match="Several texts in a row need another one"):
            each(inputs[0], attention_mask=inputs[1])  # before there is any number
    with pytest.raises(ValueError, match="block is 'attention', .*not 'flush'; did you mean 'flash'"):
        tiny(**{**TINY, "model": "gau_alpha", "block": "flush"})
    with pytest.raises(ValueError, match="block='flash' takes rotary positions.*bert has absolute|chunk"):
        tiny(**{**TINY, "model": "nezha", "block": "flash"})
