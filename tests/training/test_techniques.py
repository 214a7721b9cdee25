"""What all techniques have in common: they stay and go, work in half precision, and say what is wrong."""

from __future__ import annotations

import keras as plain_keras
import numpy as np
import pytest
from by_hand import IDS, LABELS, bert_model, compiled, pooling_model

from bert4keras2.backend import keras
from bert4keras2.training import (
    adversarial_training,
    gradient_penalty,
    plain_training,
    virtual_adversarial_training,
)

pytestmark = pytest.mark.backend


@pytest.mark.parametrize("rule", [adversarial_training, gradient_penalty, virtual_adversarial_training])
def test_mixed_precision(rule):
    """Half precision with a loss scale goes the way of float32."""
    losses = []
    for policy in ("float32", "mixed_float16"):
        plain_keras.config.set_dtype_policy(policy)
        try:
            model = compiled(pooling_model(), 0.1)
        finally:
            plain_keras.config.set_dtype_policy("float32")
        rule(model, "Embedding-Token", 0.3)
        for r in model.loss_transforms:
            r.seed = 11
        losses.append(model.fit(IDS, LABELS, epochs=4, verbose=0).history["loss"])
    assert type(model.optimizer).__name__ == "LossScaleOptimizer"
    np.testing.assert_allclose(losses[0], losses[1], rtol=5e-3)


def test_rules_stay_and_go(tmp_path):
    """Compiling again keeps a rule, the same name replaces it, files do not hold it, and it can be taken back."""
    model = compiled(pooling_model(), 0.0)
    model.fit(IDS, LABELS, verbose=0)
    plain = model.train_on_batch(IDS, LABELS)
    adversarial_training(model, "Embedding-Token", 0.5)
    first = model.train_on_batch(IDS, LABELS)
    adversarial_training(model, "Token", 1.0)
    second = model.train_on_batch(IDS, LABELS)
    assert plain + 1e-4 < first < second - 1e-4 and len(model.loss_transforms) == 1
    compiled(model, 0.0)
    np.testing.assert_allclose(model.train_on_batch(IDS, LABELS), second, atol=1e-6)
    np.testing.assert_allclose(model.evaluate(IDS, LABELS, verbose=0), plain, atol=1e-6)
    gradient_penalty(model, "Embedding-Token")
    assert len(model.loss_transforms) == 2 and model.train_on_batch(IDS, LABELS) > second
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "best.weights")
    loaded = plain_keras.models.load_model(tmp_path / "model.keras")
    assert not loaded.loss_transforms
    np.testing.assert_allclose(loaded.train_on_batch(IDS, LABELS), plain, atol=1e-6)
    for old, new in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    plain_training(model)
    np.testing.assert_allclose(model.train_on_batch(IDS, LABELS), plain, atol=1e-6)


@pytest.mark.parametrize("function", [adversarial_training, gradient_penalty, virtual_adversarial_training])
def test_errors(function):
    model = bert_model()
    with pytest.raises(ValueError, match="'Embedding-Tokens'.*'Embedding-Token'"):
        function(model, "Embedding-Tokens")
    with pytest.raises(ValueError, match="several variables.*Embedding-Segment"):
        function(model, "^Embedding-[TS]")
    with pytest.raises(TypeError, match="named by a string"):
        function(model, model.get_layer("Embedding-Token"))
    with pytest.raises(ValueError, match="epsilon is a number"):
        function(model, "Embedding-Token", -1)
    foreign = plain_keras.Model(model.inputs, model.outputs)
    with pytest.raises(TypeError, match="from bert4keras2.backend import keras"):
        function(foreign, "Embedding-Token")
    assert not model.loss_transforms


def test_more_errors():
    model = pooling_model()
    with pytest.raises(ValueError, match="'vectors' or 'matrix'"):
        gradient_penalty(model, "Embedding-Token", of="rows")
    with pytest.raises(ValueError, match="looks up no vectors"):
        gradient_penalty(model, "Proba/kernel")
    with pytest.raises(ValueError, match="iters"):
        virtual_adversarial_training(model, "Embedding-Token", iters=0.5)
    two = keras.models.Model(model.inputs, [model.output, model.output])
    with pytest.raises(ValueError, match="2 outputs"):
        virtual_adversarial_training(two, "Embedding-Token")
    with pytest.raises(TypeError, match="iterate over"):
        virtual_adversarial_training(model, "Embedding-Token", unlabelled=3)
