"""RECOMPUTE=1: the same numbers with layers computed twice, or a warning where that cannot be had."""

import warnings

import keras
import numpy as np
import pytest

from bert4keras2.backend import Model
from bert4keras2.layers import FeedForward
from bert4keras2.models import build_transformer_model

pytestmark = pytest.mark.backend

SIZES = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def train(monkeypatch, recompute, family):
    """Return losses, predictions and how often a feed-forward layer was computed for one training step."""
    monkeypatch.setenv("RECOMPUTE", recompute)
    keras.utils.set_random_seed(1)
    encoder = build_transformer_model(**SIZES, model=family, dropout_rate=0.1, attention_dropout_rate=0.3)
    model = Model(encoder.inputs, keras.layers.Dense(1)(encoder.output[:, 0]))
    model.compile("adam", "mse")
    random = np.random.RandomState(0)
    x, y = random.randint(1, 50, (8, 6)), random.randn(8, 1)
    losses = model.fit([x, x * 0], y, epochs=3, batch_size=4, shuffle=False, verbose=0).history["loss"]
    predictions = model.predict([x, x * 0], verbose=0)
    calls, original = [], FeedForward.call
    monkeypatch.setattr(FeedForward, "call", lambda self, *a, **k: (calls.append(self), original(self, *a, **k))[1])
    model.train_on_batch([x, x * 0], y)
    monkeypatch.undo()
    return losses, predictions, len(calls)


@pytest.mark.parametrize("family", ["bert", "gau_alpha"])
def test_numbers_are_the_same(family, monkeypatch):
    if keras.backend.backend() != "torch":
        pytest.skip("PyTorch only")
    plain, twice = (train(monkeypatch, value, family) for value in ("0", "1"))
    np.testing.assert_allclose(twice[0], plain[0], atol=1e-6)
    np.testing.assert_allclose(twice[1], plain[1], atol=1e-5)
    assert (plain[2], twice[2]) == ((2, 4) if family == "bert" else (0, 0))


def test_warning(monkeypatch):
    if keras.backend.backend() == "torch":
        pytest.skip("where it does not work")
    monkeypatch.setenv("RECOMPUTE", "1")
    with pytest.warns(RuntimeWarning, match="RECOMPUTE=1 is not supported on .*gradient accumulation"):
        build_transformer_model(**SIZES)
    monkeypatch.setenv("RECOMPUTE", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        build_transformer_model(**SIZES)
