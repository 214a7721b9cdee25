"""BERT-of-Theseus: which branch is taken, what learns, and what is left in the end."""

from __future__ import annotations

import numpy as np
import pytest
from by_hand import said
from keras import ops

from bert4keras2.backend import keras, set_seed
from bert4keras2.models import build_transformer_model
from bert4keras2.training import bert_of_theseus

pytestmark = pytest.mark.backend
SIZES = {"vocab_size": 12, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
TOKENS = np.array([[2, 5, 6, 7, 3], [2, 8, 5, 3, 0]])
X, Y = [TOKENS, np.zeros_like(TOKENS)], np.array([0, 1])


def build(depth, prefix="", **options):
    set_seed(2 + depth)
    sizes = {**SIZES, "num_hidden_layers": depth, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return build_transformer_model(sizes, prefix=prefix, return_keras_model=False, **options)


def outputs(model, training):
    return ops.convert_to_numpy(model([ops.convert_to_tensor(x) for x in X], training=training))


def test_branches():
    """With rate 1 the small model, with 0 the big one, in between parts of both; in prediction the small one."""
    small, big = build(1, "Small-"), build(2)
    own, other = (said(bert.model, X) for bert in (small, big))
    mixed = {rate: bert_of_theseus(small, big, rate, seed=4) for rate in (0.0, 0.5, 1.0)}
    np.testing.assert_allclose(said(mixed[0.5], X), own, atol=1e-6)
    np.testing.assert_allclose(outputs(mixed[1.0], True), own, atol=1e-5)
    np.testing.assert_allclose(outputs(mixed[0.0], True), other, atol=1e-5)
    found = {outputs(mixed[0.5], True)[0, 1].round(4).tobytes() for _ in range(24)}
    assert len(found) > 2
    # Neither model has changed, and generation of the big one goes by its own masks.
    np.testing.assert_array_equal(said(big.model, X), other)
    assert big.context.attention_mask is not None and len(small.hidden_states) == 2


def test_the_small_model_learns_in_the_big_ones_place():
    small, big = build(1, "Small-"), build(2)
    head = keras.layers.Dense(2, activation="softmax", name="head", trainable=False)
    mixed = bert_of_theseus(small, big, 0.3, steps=3, seed=1)
    model = keras.models.Model(mixed.inputs, head(mixed.output[:, 0]))
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    before = big.model.get_weights(), head.get_weights(), small.model.get_weights()
    model.fit(X, Y, epochs=6, verbose=0)
    for old, new in zip([*before[0], *before[1]], [*big.model.get_weights(), *head.get_weights()], strict=True):
        np.testing.assert_array_equal(old, new)
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(before[2], small.model.get_weights(), strict=True))
    # The rate has risen to 1: training is the small model's own by now.
    np.testing.assert_allclose(outputs(model, True), said(model, X), atol=1e-6)
    last = keras.models.Model(small.inputs, head(small.output[:, 0]))
    np.testing.assert_allclose(said(last, X), said(model, X), atol=1e-6)
    assert last.evaluate is not None and not [v for v in model.trainable_variables if not v.path.startswith("Small-")]


def test_what_is_wrong():
    big = build(2)
    for small, options, words in (
        (build(1), {}, "layers of the same names"),
        (build(1, "S-", hidden_size=4), {}, "small is 4 wide and big 8"),
        (build(1, "S-", segment_vocab_size=0), {}, "takes 1 inputs and big 2"),
        (build(3, "S-"), {}, "has to be a multiple"),
        (build(1, "S-"), {"rate": 2}, "rate is a probability"),
    ):
        with pytest.raises(ValueError, match=words):
            bert_of_theseus(small, big, **options)
    with pytest.raises(TypeError, match="small is a model of build_transformer_model"):
        bert_of_theseus(keras.Sequential([keras.layers.Dense(1)]), big)
