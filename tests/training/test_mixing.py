"""Mixup against NumPy: vectors, masks and losses are mixed alike."""

from __future__ import annotations

import numpy as np
import pytest
from by_hand import BATCH, IDS, LABELS, bert_model, compiled, gradients, pooling_model, softmax, wide
from keras import ops

from bert4keras2.backend import keras, set_seed
from bert4keras2.layers import Embedding, GlobalAveragePooling1D
from bert4keras2.layers import Loss as LossLayer
from bert4keras2.training import adversarial_training, mixup, r_drop
from bert4keras2.training.transforms import StepSeed

pytestmark = pytest.mark.backend


def drawn(model, alpha, number=0):
    seed = StepSeed(model.loss_transforms[-1].seed, number)
    return float(ops.convert_to_numpy(keras.random.beta((), alpha, alpha, dtype="float32", seed=seed)))


def test_a_step_by_hand():
    model = compiled(pooling_model())
    mixup(model, alpha=1.0)
    share, weights = drawn(model, 1.0), wide(model)
    assert 0.01 < share < 0.99
    table, kernel, bias = weights
    vectors = table[IDS]
    pooled = (share * vectors + (1 - share) * vectors[::-1]).mean(1)
    soft = share * np.eye(3)[LABELS] + (1 - share) * np.eye(3)[LABELS[::-1]]
    p = softmax(pooled @ kernel + bias)
    np.testing.assert_allclose(model.train_on_batch(IDS, LABELS), -(soft * np.log(p)).sum(-1).mean(), rtol=1e-5)
    by_logits = (p - soft) / 2
    for old, new, slope in zip(weights[1:], wide(model)[1:], (pooled.T @ by_logits, by_logits.sum(0)), strict=True):
        np.testing.assert_allclose(old - new, slope, atol=2e-6)
    assert drawn(model, 1.0, 1) != share
    assert np.abs(gradients(weights, soft)[0][1] - pooled.T @ by_logits).max() > 1e-5  # the test can tell


def test_positions_of_either_row_count():
    """A shorter row is as long as the one that it is mixed with: where it has ended, the other stands alone."""
    set_seed(1)
    inputs = keras.layers.Input((None,), dtype="int32")
    x = Embedding(6, 4, mask_zero=True, embeddings_initializer="normal", name="Embedding-Token")(inputs)
    model = keras.models.Model(inputs, keras.layers.Dense(3, activation="softmax")(GlobalAveragePooling1D()(x)))
    compiled(model, 0.0)
    mixup(model, alpha=1.0)
    ids = np.array([[1, 2, 0], [3, 4, 5]])
    share, (table, kernel, bias) = drawn(model, 1.0), wide(model)
    ids[0, 2] = 5
    p = softmax((share * table[ids] + (1 - share) * table[ids[::-1]]).mean(1) @ kernel + bias)
    soft = share * np.eye(3)[LABELS] + (1 - share) * np.eye(3)[LABELS[::-1]]
    found = model.train_on_batch(np.array([[1, 2, 0], [3, 4, 5]]), LABELS)
    np.testing.assert_allclose(found, -(soft * np.log(p)).sum(-1).mean(), rtol=1e-5)


def test_with_others_through_attention():
    """Behind FGM and R-Drop, which pass over the same mixture; evaluation is of rows as they are."""
    model = compiled(bert_model(0.1), 0.05, metrics=["accuracy"])
    before = model.evaluate(BATCH, LABELS, verbose=0)
    adversarial_training(model, "Embedding-Token", 0.1)
    mixup(model)
    r_drop(model)
    history = model.fit(BATCH, LABELS, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    again = compiled(bert_model(0.1), 0.05, metrics=["accuracy"])
    np.testing.assert_allclose(again.evaluate(BATCH, LABELS, verbose=0), before, rtol=1e-5)


class Loss(LossLayer):
    def compute_loss(self, inputs, mask=None):
        return ops.mean(inputs[0])


def test_what_is_wrong():
    model = compiled(pooling_model())
    with pytest.raises(ValueError, match="alpha"):
        mixup(model, alpha=0)
    with pytest.raises(ValueError, match="looks up no vectors"):
        mixup(model, "Proba/kernel")
    target = keras.layers.Input((3,), dtype="int32")
    scores = keras.layers.Embedding(6, 6, name="Embedding-Token")(target)
    model = keras.models.Model(target, Loss(0)([scores, scores]))
    model.compile("sgd")
    mixup(model)
    with pytest.raises(ValueError, match="labels have to come as y"):
        model.train_on_batch(IDS)
