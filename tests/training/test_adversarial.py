"""Adversarial training (FGM) against a computation of its own."""

from __future__ import annotations

import keras as plain_keras
import numpy as np
import pytest
from by_hand import (
    BACKEND,
    BATCH,
    IDS,
    LABELS,
    LOSS,
    SIZES,
    TOKENS,
    compiled,
    forward,
    gradients,
    moved,
    pooling_model,
    wide,
)
from keras import ops

from bert4keras2.backend import keras, set_seed
from bert4keras2.layers import Loss
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import AdaFactor, Adam, extend_with_gradient_accumulation
from bert4keras2.snippets import DataGenerator, sequence_padding
from bert4keras2.training import adversarial_training

pytestmark = pytest.mark.backend


@pytest.mark.parametrize(
    ("options", "early"), [({}, True), ({"run_eagerly": True}, False), ({"jit_compile": BACKEND != "torch"}, False)]
)
def test_step_by_hand(options, early):
    """Gradients at E + delta, applied to E; before or after compile, with sample weights."""
    model = pooling_model()
    if early:
        adversarial_training(model, "Embedding-Token", 0.5)
    compiled(model, metrics=["accuracy"], **options)
    if not early:
        adversarial_training(model, "Embedding-Token", 0.5)
    weights, target = wide(model), np.eye(3)[LABELS]
    rows = np.array([1.5, 0.5]) / 2
    there = moved(weights, gradients(weights, target, rows)[0][0], 0.5)
    expected = [w - g for w, g in zip(weights, gradients(there, target, rows)[0], strict=True)]
    logs = model.train_on_batch(IDS, LABELS, sample_weight=np.array([1.5, 0.5]), return_dict=True)
    for value, right in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(value, right, atol=2e-6)
    loss = -(rows * np.log(forward(there)[1][np.arange(2), LABELS])).sum()
    assert set(logs) == {"loss", "accuracy"}
    np.testing.assert_allclose(logs["loss"], loss, atol=1e-5)


@pytest.mark.parametrize("name", ["Embedding-Token", "Embedding-Token/embeddings", "ding-Tok"])
def test_names(name):
    model = compiled(pooling_model())
    adversarial_training(model, name)
    assert [rule.variable.path for rule in model.loss_transforms] == ["Embedding-Token/embeddings"]


def test_embeddings_are_restored():
    """Without a step of the optimizer nothing changes at all; of a frozen table nothing ever does."""
    model = compiled(pooling_model(dropout=0.2), rate=0.0)
    adversarial_training(model, "Embedding-Token", 10.0)
    before = model.get_weights()
    model.fit(IDS, LABELS, epochs=3, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    embedding, dense = model.get_layer("Embedding-Token"), model.get_layer("Proba")
    embedding.trainable = False
    compiled(model, 0.1)
    before = embedding.get_weights()[0], dense.get_weights()[0]
    model.fit(IDS, LABELS, epochs=2, verbose=0)
    np.testing.assert_array_equal(before[0], embedding.get_weights()[0])
    assert np.abs(before[1] - dense.get_weights()[0]).max() > 1e-4


def test_frozen_is_moved():
    """The other weights learn at moved embeddings, even if these are frozen."""
    model = pooling_model(trainable=False)
    compiled(model)
    adversarial_training(model, "Embedding-Token", 2.0)
    layers = [model.get_layer(name) for name in ("Embedding-Token", "Proba")]
    weights, target = [w.astype("float64") for layer in layers for w in layer.get_weights()], np.eye(3)[LABELS]
    there = moved(weights, gradients(weights, target)[0][0], 2.0)
    model.train_on_batch(IDS, LABELS)
    expected = weights[1] - gradients(there, target)[0][1]
    np.testing.assert_allclose(layers[1].get_weights()[0], expected, atol=2e-6)
    np.testing.assert_array_equal(layers[0].get_weights()[0], weights[0].astype("float32"))


def test_zero_is_plain_training():
    """With epsilon 0 a step equals that of a plain model bit by bit or nearly so, dropout and all."""
    results = []
    for rule in (False, True):
        model = pooling_model(dropout=0.3)
        model.compile(Adam(0.01), LOSS, metrics=["accuracy"])
        if rule:
            adversarial_training(model, "Embedding-Token", 0.0)
        set_seed(5)
        losses = model.fit(IDS, LABELS, epochs=3, verbose=0).history["loss"]
        results.append((losses, model.get_weights()))
    np.testing.assert_allclose(results[0][0], results[1][0], atol=1e-5)
    for left, right in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_allclose(left, right, atol=2e-5)


def test_passes_drop_the_same():
    """The move raises the loss of the very units that were not dropped: otherwise single steps may lower it."""
    model = compiled(pooling_model(dropout=0.5), rate=0.0)
    plain = [model.train_on_batch(IDS, LABELS) for _ in range(1)]
    for epsilon in (0.0, 1e-3):
        set_seed(3)
        model = compiled(pooling_model(dropout=0.5), rate=0.0)
        adversarial_training(model, "Embedding-Token", epsilon)
        plain.append(np.array([model.train_on_batch(IDS, LABELS) for _ in range(8)]))
    assert (plain[2] >= plain[1]).all() and (plain[2] > plain[1]).any()


class Masked(Loss):
    def compute_loss(self, inputs, mask=None):
        target, scores = inputs
        self.add_metric(ops.mean(scores), name="mean_score")
        return ops.mean(plain_keras.losses.sparse_categorical_crossentropy(target, scores))


def test_loss_layer_and_tied_embeddings():
    """The masked-token head scores by the same table: moving it changes both uses."""
    set_seed(4)
    config = {**SIZES, "vocab_size": 12, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    bert = build_transformer_model(config, with_mlm=True)
    target = keras.layers.Input((None,), dtype="int32")
    model = keras.models.Model([*bert.inputs, target], Masked(1)([target, bert.output]))
    model.compile(keras.optimizers.SGD(1.0))
    table = model.get_layer("Embedding-Token").embeddings
    weights = model.get_weights()
    data = [*BATCH, TOKENS]

    def derivatives(step):  # by plain steps of the same model: SGD(1.0) subtracts the gradient
        set_weights = [w.copy() for w in weights]
        index = next(i for i, v in enumerate(model.weights) if v is table)
        set_weights[index] = set_weights[index] + step
        model.set_weights(set_weights)
        logs = model.train_on_batch(data, return_dict=True)
        return logs, [a - b for a, b in zip(set_weights, model.get_weights(), strict=True)], index

    _, at_start, index = derivatives(0.0)
    norm = np.sqrt((at_start[index].astype("float64") ** 2).sum())
    there, expected, _ = derivatives(0.7 * at_start[index] / (norm + 1e-8))
    model.set_weights(weights)
    adversarial_training(model, "Embedding-Token", 0.7)
    logs = model.train_on_batch(data, return_dict=True)
    assert set(logs) == {"loss", "mean_score"} and np.isfinite(logs["loss"])
    np.testing.assert_allclose(logs["loss"], there["loss"], atol=1e-5)
    for old, new, gradient in zip(weights, model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(new, old - gradient, atol=2e-5)
    history = model.fit(data, epochs=2, verbose=0).history
    assert set(history) == {"loss", "mean_score"} and np.isfinite(history["mean_score"]).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Adam(0.01, weight_decay_rate=0.01),
        lambda: AdaFactor(0.01),
        lambda: extend_with_gradient_accumulation(Adam)(0.01, grad_accum_steps=2),
        lambda: plain_keras.optimizers.AdamW(0.01, gradient_accumulation_steps=2),
    ],
)
def test_optimizers_and_generators(make):
    """Batches of different lengths, with each kind of optimizer."""

    class Generator(DataGenerator):
        def collate(self, batch):
            tokens = sequence_padding([row for row, _ in batch])
            return tokens, np.array([label for _, label in batch])

    data = Generator([(list(range(n)), n % 2) for n in (2, 3, 3, 2, 2, 3)], 2)
    model = pooling_model()
    model.compile(make(), LOSS, metrics=["accuracy"])
    adversarial_training(model, "Embedding-Token", 0.5)
    before = model.get_weights()
    history = model.fit_generator(data.forfit(), steps_per_epoch=3, epochs=2, verbose=0).history
    assert set(history) == {"loss", "accuracy"} and np.isfinite(history["loss"]).all()
    assert any(np.abs(a - b).max() > 1e-4 for a, b in zip(before, model.get_weights(), strict=True))


def test_overflow_is_skipped():
    """A loss scale that is too large makes no step and spoils nothing."""
    plain_keras.config.set_dtype_policy("mixed_float16")
    try:
        model = pooling_model()
    finally:
        plain_keras.config.set_dtype_policy("float32")
    scaled = plain_keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=2.0**40)
    model.compile(scaled, LOSS, auto_scale_loss=False)
    adversarial_training(model, "Embedding-Token", 0.3)
    before = model.get_weights()
    assert np.isfinite(model.train_on_batch(IDS, LABELS))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
