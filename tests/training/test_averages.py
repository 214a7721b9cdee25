"""Averages of the weights: by hand, where they stand in, and that training does not notice."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras2.backend import keras, set_seed
from bert4keras2.callbacks import EMA, SWA, Evaluator, Resume
from bert4keras2.optimizers import Adam, extend_with_exponential_moving_average, extend_with_gradient_accumulation

pytestmark = pytest.mark.backend
X = np.random.RandomState(0).standard_normal((12, 4)).astype("float32")
Y = np.array([0, 1, 2] * 4)


class Weights(keras.callbacks.Callback):
    """Notes the weights after each batch and at the end of each epoch."""

    def __init__(self):
        super().__init__()
        self.batches, self.epochs = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append(self.model.get_weights())

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(self.model.get_weights())


def fitted(callbacks, epochs=2, optimizer=None, **options):
    set_seed(3)
    inputs = keras.layers.Input((4,))
    model = keras.models.Model(inputs, keras.layers.Dense(3, activation="softmax")(inputs))
    model.compile(optimizer or Adam(0.1), "sparse_categorical_crossentropy")
    options = {"batch_size": 4, "shuffle": False, "verbose": 0, **options}
    history = model.fit(X, Y, epochs=epochs, callbacks=callbacks, **options).history
    return model, history


def assert_close(left, right, **tolerance):
    for a, b in zip(left, right, strict=True):
        np.testing.assert_allclose(a, b, **(tolerance or {"atol": 1e-6}))


def averaged(steps, momentum):
    total = [np.zeros_like(w, "float64") for w in steps[0]]
    for weights in steps:
        total = [momentum * t + (1 - momentum) * w for t, w in zip(total, weights, strict=True)]
    return [t / (1 - momentum ** len(steps)) for t in total]


def test_ema_stands_in_where_others_look():
    """Validation, the callbacks of an epoch's end and the end meet the average; training goes on from the weights."""
    plain, plain_history = fitted([noted := Weights()])
    seen = Weights()
    model, history = fitted([seen, EMA(0.7)], validation_data=(X, Y))
    assert_close(sum(seen.batches, []), sum(noted.batches, []))
    expected = averaged(noted.batches, 0.7)
    assert_close(seen.epochs[0], averaged(noted.batches[:3], 0.7))
    assert_close(model.get_weights(), expected, atol=1e-5)
    np.testing.assert_allclose(history["val_loss"][-1], model.evaluate(X, Y, verbose=0), rtol=1e-5)
    np.testing.assert_allclose(history["loss"], plain_history["loss"], rtol=1e-5)
    own, _ = fitted([EMA(0.7, keep=False)])
    assert_close(own.get_weights(), plain.get_weights())


def test_ema_is_that_of_the_optimizers():
    """With micro-batches: averages count the steps of the optimizer."""
    Accumulating = extend_with_gradient_accumulation(Adam)
    model, _ = fitted([EMA(0.7)], 4, Accumulating(0.1, grad_accum_steps=2))
    optimizer = extend_with_exponential_moving_average(Accumulating)(0.1, grad_accum_steps=2, ema_momentum=0.7)
    other, _ = fitted([], 4, optimizer)
    optimizer.apply_ema_weights()
    assert_close(model.get_weights(), other.get_weights(), atol=1e-5)
    with pytest.raises(ValueError, match="keeps an average of the weights already"):
        other.fit(X, Y, callbacks=[EMA()], verbose=0)


def test_swa_is_the_mean_of_the_later_epochs():
    fitted([noted := Weights()], 4)
    ends = noted.batches[2::3]
    model, _ = fitted([SWA(2)], 4)
    assert_close(model.get_weights(), [np.mean(parts, axis=0) for parts in zip(*ends[2:], strict=True)])
    model, _ = fitted([seen := Weights(), SWA(1, every=2)], 2)
    assert_close(seen.epochs[0], ends[0])
    assert_close(model.get_weights(), noted.batches[4])


def test_the_best_weights_are_averages_and_a_run_goes_on(tmp_path):
    """The same `fit` in two parts: the average of all steps, though the first part ended with averages in the model."""
    whole, _ = fitted([EMA(0.7), Evaluator(lambda model: 0.0, restore=False)], 4)
    for epochs in (2, 4):
        callbacks = [Evaluator(lambda model: 0.0, restore=False), EMA(0.7), Resume(tmp_path)]
        model, _ = fitted(callbacks, epochs)
    assert_close(model.get_weights(), whole.get_weights(), atol=1e-5)
    scores = iter([1.0, 0.0])
    best, _ = fitted([Evaluator(lambda model: next(scores)), seen := Weights(), EMA(0.7)])
    assert_close(best.get_weights(), seen.epochs[0])


def test_arguments():
    with pytest.raises(ValueError, match="momentum lies from 0 to below 1; got 1"):
        EMA(1)
    with pytest.raises(ValueError, match="every is a whole number from 1 on"):
        SWA(0, every=0)
