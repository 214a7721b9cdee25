"""Gradients of tasks at one length against plain gradients; entropy against exact values and finite differences."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras2.backend import keras as own_keras
from bert4keras2.training import EntropyBonus, knn_entropy, normalize_task_gradients

pytestmark = pytest.mark.backend


def test_each_task_has_a_gradient_of_length_one():
    """One step of SGD moves the weights by the mean of both tasks' directions, whatever the scale of a loss."""
    random = np.random.RandomState(0)
    x, tasks = random.randn(12, 3).astype("float32"), np.array([0] * 8 + [1] * 4)
    y = np.where(tasks == 0, 1000.0, 1.0) * random.randn(12)
    inputs, given = (
        own_keras.layers.Input((3,), name="x"),
        own_keras.layers.Input((1,), dtype="int32", name="Input-Task"),
    )
    dense = own_keras.layers.Dense(1)
    model = own_keras.models.Model([inputs, given], dense(inputs))
    start = [random.randn(3, 1).astype("float32"), np.zeros(1, "float32")]
    dense.set_weights(start)
    model.compile(own_keras.optimizers.SGD(1.0), "mse")
    normalize_task_gradients(model, 2)
    logs = model.train_on_batch([x, tasks[:, None]], y[:, None])
    errors = x @ start[0][:, 0] - y
    directions, losses = [], []
    for task in (0, 1):
        own = tasks == task
        gradient = 2 * np.append(x[own].T @ errors[own], errors[own].sum()) / own.sum()
        directions.append(gradient / np.linalg.norm(gradient))
        losses.append(np.mean(errors[own] ** 2))
    found = np.concatenate([weight.reshape(-1) for weight in dense.get_weights()])
    before = np.concatenate([weight.reshape(-1) for weight in start])
    np.testing.assert_allclose(before - found, np.mean(directions, 0), atol=1e-4)
    assert float(np.ravel(logs)[0]) == pytest.approx(np.mean(losses), rel=1e-4)
    dense.set_weights(start)  # a batch of one task alone
    model.train_on_batch([x[:8], tasks[:8, None]], y[:8, None])
    found = np.concatenate([weight.reshape(-1) for weight in dense.get_weights()])
    np.testing.assert_allclose(before - found, directions[0], atol=1e-4)
    with pytest.raises(ValueError, match="no input 'Input-Tasks'"):
        normalize_task_gradients(model, 2, "Input-Tasks")


def test_entropy():
    """Of normal variables 1/2 d log(2 pi e), and d log s more for samples that are s times as wide."""
    random = np.random.RandomState(0)
    for width, bound in ((1, 0.15), (2, 0.15), (8, 0.25)):
        exact = width / 2 * np.log(2 * np.pi * np.e)
        samples = random.randn(1500, width).astype("float32")
        assert abs(float(knn_entropy(samples)) - exact) < bound
        assert abs(float(knn_entropy(samples, 3)) - exact) < bound
    few = samples[:200]
    wider = float(knn_entropy(few * 3)) - float(knn_entropy(few))
    assert wider == pytest.approx(8 * np.log(3), abs=1e-3)
    assert np.isfinite(float(knn_entropy(np.zeros((4, 2), "float32")))), "equal samples"


def test_codes_become_normal():
    """Free codes that begin uniform, under batch normalization: their entropy rises towards that of normal ones."""
    keras.utils.set_random_seed(0)
    numbers = own_keras.layers.Input((1,), dtype="int32")
    table = own_keras.layers.Embedding(128, 2, embeddings_initializer=keras.initializers.RandomUniform(-1, 1))
    codes = own_keras.layers.BatchNormalization(center=False, scale=False)(ops.reshape(table(numbers), (-1, 2)))
    model = own_keras.models.Model(numbers, EntropyBonus(1.0)(codes))
    model.compile(own_keras.optimizers.Adam(0.03))
    rows = np.arange(128)[:, None]
    losses = model.fit(rows, batch_size=128, epochs=25, verbose=0).history["loss"]
    assert losses[-1] < losses[0] - 0.1, "uniform: log 12 = 2.48; normal: 2.84; of so few samples 0.2 more"
    z = ops.convert_to_numpy(model(rows, training=True))
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(z.std(0), 1, atol=1e-2)
