"""Rotary positions for longer texts, ReRoPE, windows, log n, KeyNorm: closed forms, limits, generation."""

from __future__ import annotations

import numpy as np
import pytest
from cases import run
from generating import assert_cached_is_whole, tiny
from keras import ops

from bert4keras2.functional.rope_scaling import rotary_frequencies, rotary_magnitude
from bert4keras2.layers import LogScale, MultiHeadAttention, ReRopePosition
from bert4keras2.layers.attention import attend
from bert4keras2.layers.length import rerope_products
from bert4keras2.models import build_transformer_model

THETA = 10000.0 ** (-2 * np.arange(64) / 128)
IDS = np.array([[5, 6, 7, 8, 9, 11, 12, 4, 3], [5, 6, 7, 2, 0, 0, 0, 0, 0]])


def ratio(kind, factor=8, **more):
    return THETA / rotary_frequencies(128, scaling={"type": kind, "factor": factor, **more})


def test_frequencies_are_the_closed_forms():
    np.testing.assert_allclose(rotary_frequencies(128), THETA)
    np.testing.assert_allclose(ratio("linear"), 8)
    ends = {"ntk": (1, 8), "ntk_fixed": (8 ** (1 / 64), 8), "ntk_mixed": (1.167, 8)}
    for kind, (first, last) in ends.items():
        found = ratio(kind, **({"power": 0.625} if kind == "ntk_mixed" else {}))
        np.testing.assert_allclose([found[0], found[-1]], [first, last], rtol=1e-3)
        assert (np.diff(found) > 0).all()
    m = np.arange(1, 65)
    np.testing.assert_allclose(ratio("ntk_fixed"), 8 ** (2 * m / 128))
    np.testing.assert_allclose(ratio("ntk_mixed", power=1), ratio("ntk_fixed"))
    np.testing.assert_allclose(ratio("ntk_mixed", power=1e-9), 8, rtol=1e-6)
    # YaRN's ramp for 2048 tokens and heads of 128 goes from pair 16 to pair 41 (the authors' code).
    yarn = ratio("yarn", length=2048, fast=32, slow=1)
    np.testing.assert_allclose(yarn[:17], 1)
    np.testing.assert_allclose(yarn[41:], 8)
    np.testing.assert_allclose(1 / yarn[20], 1 - 4 / 25 * 7 / 8)
    assert rotary_magnitude({"type": "yarn", "factor": 8}) == pytest.approx(0.1 * np.log(8) + 1)
    for kind, more in (("linear", {}), ("ntk", {}), ("ntk_fixed", {}), ("ntk_mixed", {"power": 0.625})):
        np.testing.assert_allclose(ratio(kind, 1, **more), 1)
    np.testing.assert_allclose(ratio("yarn", 1, length=512, fast=32, slow=1), 1)
    assert rotary_magnitude({"type": "yarn", "factor": 1}) == 1


def turned(x, angle):
    """Return x (..., D) with its pairs turned by angles (..., D / 2)."""
    sin, cos, even, odd = np.sin(angle), np.cos(angle), x[..., 0::2], x[..., 1::2]
    return np.stack([even * cos - odd * sin, odd * cos + even * sin], -1).reshape(x.shape)


def weights_of(q, k, window, factor, causal):
    layer = ReRopePosition(4, window, factor, causal)
    tables = layer(ops.zeros((1, q.shape[1])))
    query, key, others = rerope_products(*(ops.convert_to_tensor(x[:, :, None]) for x in (q, k)), tables, False)
    mask = ops.convert_to_tensor(np.tril(np.ones((q.shape[1],) * 2, bool)) if causal else np.ones((1, 1), bool))
    found = attend(query, key, key, mask, others=others, return_weights=True)[1]
    return ops.convert_to_numpy(found)[:, 0]


@pytest.mark.backend
def test_rerope_is_its_direct_definition_both_ways_and_in_its_limits():
    q, k = np.random.RandomState(0).standard_normal((2, 1, 11, 4)).astype("float32")
    distance = np.arange(11)[:, None] - np.arange(11)[None]

    def direct(places, causal):
        angle = places[..., None] * 10000.0 ** (-np.arange(2) / 2)
        # Turning the query by the distance and the key by nothing is what rotary positions come to.
        scores = (turned(np.broadcast_to(q[0][:, None], (11, 11, 4)), angle) * k[0][None]).sum(-1) / 2
        scores = np.where(distance >= 0, scores, -1e30) if causal else scores
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        return weights / weights.sum(-1, keepdims=True)

    far = np.abs(distance) - 3
    for causal in (True, False):
        for factor, beyond in ((None, 0 * far), (4.0, far / 4), (1.0, far), (1e9, 0 * far)):
            places = np.where(far >= 0, np.sign(distance) * (3 + beyond), distance)
            np.testing.assert_allclose(weights_of(q, k, 3, factor, causal)[0], direct(places, causal), atol=2e-6)
        np.testing.assert_allclose(weights_of(q, k, 11, None, causal)[0], direct(distance, causal), atol=2e-6)


OPTIONS = [
    {
        "model": "roformer",
        "application": "lm",
        "num_hidden_layers": 2,
        "rope_scaling": {"type": "rerope", "window": 3},
        "log_n": {"type": "inference", "length": 4},
        "attention_window": {"type": "hwfa", "window": 4, "full_layers": [0], "positions": True},
    },
    {
        "model": "gau_alpha",
        "application": "unilm",
        "attention_key_size": 6,
        "rope_scaling": {"type": "leaky_rerope", "window": 2, "factor": 3},
        "key_norm": True,
    },
]


@pytest.mark.breadth
@pytest.mark.backend
@pytest.mark.parametrize(
    "options",
    [pytest.param(OPTIONS[0], id="roformer"), pytest.param(OPTIONS[1], id="gau_alpha", marks=pytest.mark.breadth)],
)
def test_generation(options):
    assert_cached_is_whole(tiny(**options))


@pytest.mark.backend
@pytest.mark.breadth
def test_options_at_load_time_leave_the_weights_as_they_are(golden):
    folder = golden / "models" / "roformer_encoder"
    options = {"config_path": str(folder / "config.json"), "checkpoint_path": str(folder / "model.ckpt")}
    plain = build_transformer_model(**options, model="roformer")
    ids = [IDS, 0 * IDS]
    expected = run(plain, ids)[0]
    for scaling in ({"type": "ntk", "factor": 1}, {"type": "leaky_rerope", "window": 3, "factor": 1}):
        found = run(build_transformer_model(**options, model="roformer", rope_scaling=scaling), ids)[0]
        np.testing.assert_allclose(found, expected, atol=1e-5)
    other = run(build_transformer_model(**options, model="roformer", rope_scaling={"type": "linear", "factor": 4}), ids)
    assert np.abs(other[0] - expected).max() > 1e-3


@pytest.mark.backend
@pytest.mark.breadth
def test_log_n_key_norm_and_windows():
    # In training it is softmax_plus by another name, with its floor of 16 keys.
    scores = {"model": "roformer", "log_n": {"type": "train", "length": 512}}
    plus = tiny(model="roformer", normalization="softmax_plus")
    for options in (scores, {"model": "roformer", "attention_window": {"type": "all", "window": 9}}):
        other = tiny(**options)
        other.model.set_weights(plus.model.get_weights())
        wanted = plus if options is scores else None
        if wanted is None:  # a window as long as the text hides nothing
            wanted = tiny(model="roformer")
            wanted.model.set_weights(plus.model.get_weights())
        np.testing.assert_allclose(run(other.model, [IDS, 0 * IDS])[0], run(wanted.model, [IDS, 0 * IDS])[0], atol=1e-5)
    mask = ops.ones((1, 1, 1, 64), dtype="bool")
    assert float(LogScale(8, True)(mask)[0, 0, 0]) == pytest.approx(2)
    assert float(LogScale(8, True)(mask, training=True)[0, 0, 0]) == 1
    assert float(LogScale(4096, True)(mask)[0, 0, 0]) == 1
    layer = MultiHeadAttention(1, 4, key_norm=True)
    x = np.random.RandomState(0).standard_normal((1, 3, 4)).astype("float32")
    layer.build((None, None, 4))
    for name in "qkvo":
        getattr(layer, f"{name}_dense").kernel.assign(np.eye(4))
    weights = np.exp(x[0] @ (x[0] / np.linalg.norm(x[0], axis=-1, keepdims=True)).T)
    expected = weights / weights.sum(-1, keepdims=True) @ x[0]
    np.testing.assert_allclose(ops.convert_to_numpy(layer(ops.convert_to_tensor(x)))[0], expected, atol=1e-5)


@pytest.mark.backend
def test_entropy_grows_slower_with_log_n():
    """Slope of the entropy against log n, from 64 to 1024 keys of 64 normal values: 1 without, below 0.9 with it."""
    random = np.random.RandomState(0)
    slopes = []
    for log_n in (False, True):
        entropies = []
        for n in (64, 1024):
            q, k = random.standard_normal((2, n, 64))
            scores = q[:64] @ k.T / 8 * (np.log(n) / np.log(512) if log_n else 1)
            weights = np.exp(scores - scores.max(-1, keepdims=True))
            weights /= weights.sum(-1, keepdims=True)
            entropies.append(-(weights * np.log(weights)).sum(-1).mean())
        slopes.append((entropies[1] - entropies[0]) / np.log(1024 / 64))
    assert slopes[0] == pytest.approx(1, abs=0.05) and slopes[1] < 0.9


@pytest.mark.backend
@pytest.mark.breadth
def test_a_folder_says_what_it_was_built_with(tmp_path):
    scaling = {"type": "ntk_mixed", "factor": 4}
    transformer = tiny(model="roformer", rope_scaling=scaling)
    with pytest.warns(UserWarning, match="transformers knows nothing of rope_scaling"):
        transformer.save_pretrained(tmp_path)
    again = build_transformer_model(str(tmp_path), return_keras_model=False)
    assert again.config.rope_scaling == scaling
    np.testing.assert_allclose(
        run(again.model, [IDS, 0 * IDS])[0], run(transformer.model, [IDS, 0 * IDS])[0], atol=1e-6
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rope_scaling": {"type": "nkt", "factor": 2}}, "rope_scaling is 'linear', .*; did you mean 'ntk'"),
        ({"rope_scaling": "linear"}, "rope_scaling of type 'linear' needs 'factor'"),
        ({"rope_scaling": {"type": "yarn", "factor": 8, "lenght": 4}}, "has no 'lenght'; did you mean 'length'"),
        ({"rope_scaling": {"type": "linear", "factor": 0.5}}, "factor is a number from 1 on, not 0.5"),
        ({"model": "bert", "rope_scaling": {"type": "linear", "factor": 2}}, "bert has absolute ones"),
        ({"model": "flash", "rope_scaling": {"type": "rerope", "window": 4}}, "pair by pair"),
        ({"log_n": {"type": "train", "length": 1}}, "length is a number of tokens, at least 2"),
        ({"model": "gau_alpha", "log_n": "train"}, "softmax_plus.*log n already"),
        ({"attention_window": {"type": "hwfa", "window": 2, "full_layers": 3}}, "how many of the 1 last blocks"),
        ({"model": "flash", "key_norm": True}, "key_norm is for .*not for flash with block='flash'"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        tiny(**{"model": "roformer", **options})
