"""Conditional layer normalization acts in every family, those included whose normalization has no weights."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras2.backend import keras, set_seed
from bert4keras2.models import build_transformer_model

pytestmark = pytest.mark.backend
SIZES = {"vocab_size": 12, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
TOKENS = np.array([[2, 5, 6, 3]])


@pytest.mark.parametrize("family", ["bert", "roformer_v2", "gau_alpha"])
def test_nothing_at_first_and_something_once_it_has_learnt(family):
    condition = keras.layers.Input((3,), name="condition")
    set_seed(1)
    model = build_transformer_model(
        SIZES, model=family, layer_norm_cond=condition, additional_input_layers=condition, dropout_rate=0.0
    )
    set_seed(1)
    plain = build_transformer_model(SIZES, model=family, dropout_rate=0.0)
    named = {w.path: w for w in plain.weights}
    for weight in model.weights:
        if weight.path in named:
            weight.assign(named[weight.path])
    rows = [[TOKENS, 0 * TOKENS], np.array([[1.0, 0.0, 2.0]], "float32")]
    first = model.predict([*rows[0], rows[1]], verbose=0)
    np.testing.assert_allclose(first, plain.predict(rows[0], verbose=0), atol=1e-5)
    dense = [w for w in model.trainable_weights if "_dense/kernel" in w.path and w.shape[0] == 3]
    assert len(dense) >= 2
    for weight in dense:
        weight.assign(np.full(weight.shape, 0.3, "float32"))
    assert np.abs(model.predict([*rows[0], rows[1]], verbose=0) - first).max() > 0.1
