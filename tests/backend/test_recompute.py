"""RECOMPUTE=1: the same numbers with layers computed twice, and less memory."""

import keras
import numpy as np
import pytest

from bert4keras2.backend import Model, set_seed
from bert4keras2.layers import FeedForward
from bert4keras2.models import build_transformer_model

pytestmark = pytest.mark.backend

SIZES = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def train(monkeypatch, recompute, family):
    """Return losses, predictions and how often a feed-forward layer was computed for one training step."""
    monkeypatch.setenv("RECOMPUTE", recompute)
    set_seed(1)
    encoder = build_transformer_model(**SIZES, model=family, dropout_rate=0.1, attention_dropout_rate=0.3)
    model = Model(encoder.inputs, keras.layers.Dense(1)(encoder.output[:, 0]))
    model.compile("adam", "mse")
    random = np.random.RandomState(0)
    x, y = random.randint(1, 50, (8, 6)), random.randn(8, 1)
    losses = model.fit([x, x * 0], y, epochs=3, batch_size=4, shuffle=False, verbose=0).history["loss"]
    predictions = model.predict([x, x * 0], verbose=0)
    if keras.backend.backend() == "jax":
        return losses, predictions, 0  # Python runs once, XLA twice
    calls, original = [], FeedForward.call
    monkeypatch.setattr(FeedForward, "call", lambda self, *a, **k: (calls.append(self), original(self, *a, **k))[1])
    if keras.backend.backend() == "tensorflow":
        model.compile("adam", "mse")  # traced anew
    model.train_on_batch([x, x * 0], y)
    monkeypatch.undo()
    return losses, predictions, len(calls)


@pytest.mark.parametrize("family", ["bert", "gau_alpha"])
def test_numbers_are_the_same(family, monkeypatch):
    plain, twice = (train(monkeypatch, value, family) for value in ("0", "1"))
    np.testing.assert_allclose(twice[0], plain[0], atol=1e-6)
    np.testing.assert_allclose(twice[1], plain[1], atol=1e-5)
    assert twice[2] == 2 * plain[2]
    assert (plain[2] > 0) == (family == "bert" and keras.backend.backend() != "jax")


def test_mixed_precision(monkeypatch):
    """The second computation has the dtypes of the first."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        plain, twice = (train(monkeypatch, value, "bert") for value in ("0", "1"))
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_allclose(twice[0], plain[0], rtol=2e-2)
    assert np.isfinite(twice[1]).all()


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX tells what it keeps for the gradients")
def test_memory_is_saved(monkeypatch):
    """By what is kept between the two passes: XLA on CPUs undoes any recomputation when it compiles."""
    import jax

    def kept(value):
        monkeypatch.setenv("RECOMPUTE", value)
        model = build_transformer_model(**SIZES, dropout_rate=0.1, attention_dropout_rate=0.1)
        tokens = np.ones((8, 64), "int32")
        weights, others = ([v.value for v in vs] for vs in (model.trainable_variables, model.non_trainable_variables))

        def outputs(weights):
            return model.stateless_call(weights, others, [tokens, tokens * 0], training=True)[0]

        residuals = jax.eval_shape(lambda weights: jax.vjp(outputs, weights)[1], weights)
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree_util.tree_leaves(residuals))

    assert kept("1") < 0.5 * kept("0")
