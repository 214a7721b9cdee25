"""The gradient penalty against differences of a computation of its own."""

from __future__ import annotations

import numpy as np
import pytest
from by_hand import BACKEND, BATCH, IDS, LABELS, LOSS, bert_model, compiled, forward, gradients, pooling_model, wide

from bert4keras2.backend import keras, set_seed
from bert4keras2.layers import Embedding
from bert4keras2.training import gradient_penalty, plain_training

pytestmark = pytest.mark.backend


def penalised(weights, epsilon, of):
    """Return the loss with its penalty by NumPy, in float64."""
    target = np.eye(3)[LABELS]
    by_weights, by_vectors = gradients(weights, target)
    squares = ((by_vectors if of == "vectors" else by_weights[0]) ** 2).sum()
    return -np.log(forward(weights)[1][np.arange(2), LABELS]).mean() + 0.5 * epsilon * squares


@pytest.mark.parametrize(
    ("of", "jit", "trainable"),
    [("vectors", False, True), ("vectors", True, False), ("matrix", True, True), ("matrix", False, False)],
)
def test_penalty_by_finite_differences(of, jit, trainable):
    model = compiled(pooling_model(trainable=trainable), jit_compile=jit and BACKEND != "torch")
    gradient_penalty(model, "Embedding-Token", 30.0, of)
    layers = [model.get_layer(name) for name in ("Embedding-Token", "Proba")]
    weights = [w.astype("float64") for layer in layers for w in layer.get_weights()]
    loss = model.train_on_batch(IDS, LABELS)
    np.testing.assert_allclose(loss, penalised(weights, 30.0, of), rtol=1e-5)
    changed = [w for layer in layers for w in layer.get_weights()]
    for k, weight in enumerate(weights):
        expected = np.zeros_like(weight)
        for place in np.ndindex(*weight.shape):
            sides = []
            for h in (1e-5, -1e-5):
                other = [w.copy() for w in weights]
                other[k][place] += h
                sides.append(penalised(other, 30.0, of))
            expected[place] = (sides[0] - sides[1]) / 2e-5
        if k == 0 and not trainable:
            expected[:] = 0
        np.testing.assert_allclose(weight - changed[k], expected, atol=3e-6)


def test_penalty_of_tied_embeddings():
    """The vectors that were looked up count, not the scores that the same table gives."""
    set_seed(1)
    x = inputs = keras.layers.Input((None,), dtype="int32")
    embedding = Embedding(6, 4, embeddings_initializer="normal", name="Embedding-Token")
    x = keras.layers.GlobalAveragePooling1D()(embedding(x))
    model = compiled(keras.models.Model(inputs, keras.layers.Softmax()(embedding(x, mode="dense"))), 0.0)
    gradient_penalty(model, "Embedding-Token", 30.0)
    table = wide(model)[0]
    weights, target = [table, table.T, np.zeros(6)], np.eye(6)[LABELS]
    squares = (gradients(weights, target)[1] ** 2).sum()
    loss = -np.log(forward(weights)[1][np.arange(2), LABELS]).mean()
    np.testing.assert_allclose(model.train_on_batch(IDS, LABELS), loss + 15 * squares, rtol=1e-5)


def test_penalty_through_attention():
    """The gradient of the whole step of a transformer is the slope of the loss that it reports."""
    model = bert_model(dropout=0.0)
    random = np.random.default_rng(0)
    model.set_weights([w + random.normal(size=w.shape) * 0.5 for w in model.get_weights()])
    model.compile(keras.optimizers.SGD(1e-2), LOSS)
    gradient_penalty(model, "Embedding-Token", 1.0)
    before = model.get_weights()
    value = model.train_on_batch(BATCH, LABELS)
    plain_training(model)
    assert value > model.test_on_batch(BATCH, LABELS) + 1e-2
    gradient_penalty(model, "Embedding-Token", 1.0)
    step = [(old - new).astype("float64") * 1e2 for old, new in zip(before, model.get_weights(), strict=True)]
    length = np.sqrt(sum((g**2).sum() for g in step))
    sides = []
    for h in (0.003, -0.003):
        model.set_weights([w + h * g / length for w, g in zip(before, step, strict=True)])
        sides.append(model.train_on_batch(BATCH, LABELS))
    np.testing.assert_allclose((sides[0] - sides[1]) / 0.006, length, rtol=5e-3)
