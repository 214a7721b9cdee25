"""Adapters, BitFit, prefixes and rows of a template: what learns, what stays bit for bit, and what files hold."""

from __future__ import annotations

import keras as plain_keras
import numpy as np
import pytest
from by_hand import said
from keras import ops

from bert4keras2.backend import keras, set_seed
from bert4keras2.layers import MultiHeadAttention, attend
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import Adam
from bert4keras2.training import (
    adapters,
    bitfit,
    freeze_encoder,
    load_trainable,
    p_tuning,
    prefix_tuning,
    save_trainable,
)

pytestmark = pytest.mark.backend
SIZES = {"vocab_size": 12, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
TOKENS = np.array([[2, 5, 6, 7, 3], [2, 8, 5, 3, 0]])
X, Y = [TOKENS, np.zeros_like(TOKENS)], np.array([0, 1])


def build(seed=2, **options):
    set_seed(seed)
    config = {**SIZES, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    bert = build_transformer_model(config, return_keras_model=False, **options)
    head = keras.layers.Dense(2, activation="softmax", name="head")
    model = keras.models.Model(bert.inputs, head(bert.outputs[0][:, 0]))
    model.bert = [bert]  # in a list, out of Keras' sight
    return model


def values(variables):
    return {v.path: np.array(ops.convert_to_numpy(v)) for v in variables}


def train(model, steps=3):
    eager = plain_keras.backend.backend() == "tensorflow"  # tracing takes longer than the steps
    model.compile(Adam(0.01, weight_decay_rate=0.1), "sparse_categorical_crossentropy", run_eagerly=eager)
    return [float(model.train_on_batch(X, Y)) for _ in range(steps)]


TECHNIQUES = {
    "adapters": (lambda model: adapters(model, 4), ("/adapter/", "Norm/")),
    "bitfit": (bitfit, ("/bias", "/beta")),
    "prefix": (lambda model: prefix_tuning(model, 3, stddev=0.5), ("/prefix/",)),
    "prefix_network": (lambda model: prefix_tuning(model, 3, hidden=6), ("/prefix/",)),
    "p_tuning": (lambda model: p_tuning(model, [5, 1]), ("/prompt/",)),
    "p_tuning_lstm": (lambda model: p_tuning(model, [5, 1], "lstm"), ("/prompt/",)),
}


FURTHER = ("bitfit", "prefix_network", "p_tuning_lstm")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.breadth] * (name in FURTHER)) for name in TECHNIQUES]
)
def test_what_learns_and_what_files_hold(name, tmp_path):
    """All else stays bit for bit under weight decay, and the small file and the whole one give the same predictions."""
    technique, parts = TECHNIQUES[name]
    model = build()
    before, start = said(model, X), values(model.variables)
    share = technique(model)
    if name in ("adapters", "bitfit", "p_tuning"):
        np.testing.assert_allclose(said(model, X), before, atol=1e-6)
    learning = values(model.trainable_variables)
    assert share.learning == sum(value.size for value in learning.values()) < share.total / 2
    assert all(path.startswith("head") or any(part in path for part in parts) for path in learning)
    losses = train(model)
    assert losses[-1] < losses[0]
    after, now = said(model, X), values(model.variables)
    assert {path for path, value in learning.items() if np.array_equal(value, now[path])} == set()
    for path, value in start.items():
        if path not in learning:
            np.testing.assert_array_equal(now[path], value, err_msg=path)
    save_trainable(model, tmp_path / "small.safetensors")
    other = build()
    technique(other)
    load_trainable(other, tmp_path / "small.safetensors")
    np.testing.assert_allclose(said(other, X), after, atol=1e-6)
    model.save(tmp_path / "all.keras")
    loaded = plain_keras.models.load_model(tmp_path / "all.keras", compile=False)
    np.testing.assert_allclose(said(loaded, X), after, atol=1e-6)


def test_files_of_the_plain_model_stay_readable(tmp_path):
    """Weights, whole models and checkpoints without parts; one with parts is no checkpoint, with rows it is."""
    plain = build()
    plain.save_weights(tmp_path / "plain.weights")
    plain.bert[0].save_weights_as_checkpoint(tmp_path / "plain.safetensors")
    assert "parts" not in plain.get_layer("Transformer-0-FeedForward").get_config()
    model = build(3)
    adapters(model, 4)
    model.bert[0].load_weights_from_checkpoint(tmp_path / "plain.safetensors")
    model.get_layer("head").set_weights(plain.get_layer("head").get_weights())
    np.testing.assert_allclose(said(model, X), said(plain, X), atol=1e-6)
    with pytest.raises(ValueError, match="no place for .*adapter.*save_trainable"):
        model.bert[0].save_weights_as_checkpoint(tmp_path / "adapters.ckpt")
    rows = build()
    p_tuning(rows, [5])
    train(rows)
    rows.bert[0].save_weights_as_checkpoint(tmp_path / "rows.safetensors")
    plain.bert[0].load_weights_from_checkpoint(tmp_path / "rows.safetensors")
    plain.get_layer("head").set_weights(rows.get_layer("head").get_weights())
    np.testing.assert_allclose(said(plain, X), said(rows, X), atol=1e-6)


def test_a_prefix_is_keys_and_values_before_the_texts():
    """Against attention on longer arrays; keys that are padding stay hidden, and a prefix behind a wall is none."""
    set_seed(1)
    layer = MultiHeadAttention(2, 4)
    x = np.random.default_rng(0).normal(size=(2, 3, 8)).astype("float32")
    mask = np.array([[1, 1, 1], [1, 1, 0]], bool)[:, None, None]
    plain = ops.convert_to_numpy(layer(x, attention_mask=mask))
    layer.add_part("prefix", length=2, stddev=1.0)
    found = ops.convert_to_numpy(layer(x, attention_mask=mask))
    q, k, v = (ops.reshape(part(x), (2, 3, 2, 4)) for part in (layer.q_dense, layer.k_dense, layer.v_dense))
    key, value = (np.tile(ops.convert_to_numpy(part)[None], (2, 1, 1, 1)) for part in layer.prefix.call())
    longer = np.concatenate([np.ones((2, 1, 1, 2), bool), mask], -1)
    key, value = ops.concatenate([key, k], 1), ops.concatenate([value, v], 1)
    expected = layer.o_dense(ops.reshape(attend(q, key, value, longer), (2, 3, 8)))
    np.testing.assert_allclose(found, ops.convert_to_numpy(expected), atol=1e-5)
    assert np.abs(found - plain).max() > 1e-2
    # One place whose value is nothing takes attention off the text; pushed away by its key, it takes none.
    table = np.zeros((2, 16), "float32")
    table[:, :8] = -1e4 * np.sign(ops.convert_to_numpy(q)[0, 0].reshape(-1))
    layer.prefix.table.assign(table)
    here = ops.convert_to_numpy(layer(x, attention_mask=mask))
    np.testing.assert_allclose(here[0, 0], plain[0, 0], atol=1e-5)


@pytest.mark.breadth
@pytest.mark.parametrize("family", ["roformer", "nezha", "gau_alpha"])
def test_families_with_positions_in_attention(family):
    """Rotary and relative positions, and gated units: a prefix has no place, and the step runs."""
    options = {"model": family, "sequence_length": None}
    if family == "gau_alpha":
        options |= {"attention_key_size": 4}
    model = build(**options)
    before = said(model, X)
    prefix_tuning(model, 2, stddev=1.0)
    adapters_share = freeze_encoder(model)
    assert adapters_share.learning < adapters_share.total
    assert np.abs(said(model, X) - before).max() > 1e-5
    losses = train(model, 2)
    assert losses[1] < losses[0]


def test_rows_count_in_the_scores_of_tokens():
    """The masked-language head scores by the same table: a row that has moved changes its own score alone."""
    set_seed(4)
    bert = build_transformer_model({**SIZES, "hidden_dropout_prob": 0.0}, with_mlm="linear")
    model = keras.models.Model(bert.inputs, bert.output)
    tokens = np.array([[2, 5, 6, 3]])
    before = said(model, [tokens, tokens * 0])
    p_tuning(model, [7, 9])
    table = model.get_layer("Embedding-Token").prompt.table
    table.assign(np.stack([ops.convert_to_numpy(table)[0], np.ones(8, "float32")]))
    after = said(model, [tokens, tokens * 0])
    changed = np.abs(after - before).max((0, 1)) > 1e-4
    assert changed.nonzero()[0].tolist() == [9]


def test_what_is_wrong():
    model = build()
    with pytest.raises(ValueError, match="fits no attention or feed-forward layer.*MultiHeadSelfAttention"):
        adapters(model, layers="Pool")
    with pytest.raises(ValueError, match="fits no variable.*Embedding-Token/embeddings"):
        bitfit(model, ["Bias"])
    with pytest.raises(ValueError, match="from 0 to 11; got .12.$"):
        p_tuning(model, [12])
    with pytest.raises(ValueError, match="None, 'mlp', 'lstm', not 'gru'"):
        p_tuning(model, [1], "gru")
    with pytest.raises(ValueError, match="length is a whole number from 1 on"):
        prefix_tuning(model, 0)
    assert len(model.trainable_variables) == len(build().trainable_variables)
    prefix_tuning(model, 1)
    with pytest.raises(ValueError, match="has its prefix already"):
        prefix_tuning(model, 1)
    train(model, 1)
    with pytest.raises(ValueError, match="has trained"):
        adapters(model)
