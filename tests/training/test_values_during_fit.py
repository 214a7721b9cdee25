"""A model that is being trained can be used: by callbacks, by other threads, and after what went wrong."""

from __future__ import annotations

import threading

import keras as real_keras
import numpy as np
import pytest

from bert4keras2.backend import Model, keras

pytestmark = pytest.mark.backend
X = np.random.RandomState(0).rand(12, 3).astype("float32")
Y = (X.sum(-1) > 1.5).astype("int32")


@pytest.fixture(scope="module")
def trained():
    inputs = keras.Input((3,))
    x = keras.layers.BatchNormalization()(keras.layers.Dense(4, name="first")(inputs))
    model = Model(inputs, keras.layers.Dense(2, activation="softmax")(x))
    compiled = real_keras.backend.backend() != "torch"  # where BatchNormalization's pass cannot be recorded
    adam = real_keras.optimizers.Adam(0.01)
    model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=compiled)
    start = model.get_weights()
    model.fit(X, Y, batch_size=4, verbose=0, validation_data=(X, Y))
    model.predict(X, verbose=0)
    return model, start


@pytest.fixture
def model(trained):
    model, start = trained
    model.set_weights(start)
    return model


def fit(model, act, **options):
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: act(batch))
    return model.fit(X, Y, batch_size=4, shuffle=False, verbose=0, callbacks=[callback], **options)


def test_callbacks_see_each_step(model):
    kernels, outputs = [], []

    def act(batch):
        kernels.append(model.get_layer("first").get_weights()[0])
        outputs.append(model.predict(X, verbose=0))
        model.evaluate(X, Y, verbose=0)
        model(X)

    fit(model, act, epochs=2)
    assert len({kernel.tobytes() for kernel in kernels}) == len(kernels) == 6
    np.testing.assert_allclose(outputs[-1], model.predict(X, verbose=0), atol=1e-6)
    np.testing.assert_array_equal(kernels[-1], model.get_layer("first").get_weights()[0])


def test_looking_changes_nothing(model, trained):
    histories = []
    for act in (lambda batch: None, lambda batch: model.predict(X, verbose=0)):
        model.set_weights(trained[1])
        model.optimizer.iterations.assign(0)
        for variable in model.optimizer.variables[2:]:
            variable.assign(np.zeros(variable.shape))
        histories.append((fit(model, act, epochs=3, validation_data=(X, Y)).history, model.get_weights()))
    (first, weights), (second, again) = histories
    for name in first:
        np.testing.assert_allclose(first[name], second[name], rtol=1e-5)
    for one, other in zip(weights, again, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_what_callbacks_assign_stays(model):
    fit(model, lambda batch: model.get_layer("first").kernel.assign(np.full((3, 4), 0.25)))
    np.testing.assert_array_equal(model.get_layer("first").get_weights()[0], np.full((3, 4), 0.25, "float32"))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_error(model, error):
    """The weights are those of the last step, and the model goes on."""
    last = []

    def act(batch):
        last[:] = model.get_weights()
        if batch == 1:
            raise error("stop")

    with pytest.raises(error, match="stop"):
        fit(model, act)
    for expected, found in zip(last, model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert np.isfinite(model.predict(X, verbose=0)).all()
    assert np.isfinite(fit(model, lambda batch: None).history["loss"][0])


def test_other_threads_use_it_meanwhile(model):
    errors, count = [], [0]
    done = threading.Event()

    def use():
        while not done.is_set():
            try:
                assert np.isfinite(model.predict(X, verbose=0)).all()
                assert np.isfinite(model.predict_on_batch(X)).all()
                count[0] += 1
            except Exception as error:
                errors.append(error)
                return

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        losses = fit(model, lambda batch: None, epochs=40).history["loss"]
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert not errors and count[0]
    assert losses[-1] < losses[0] and np.isfinite(losses).all()
    assert np.isfinite(np.concatenate([w.ravel() for w in model.get_weights()])).all()


@pytest.mark.skipif(real_keras.backend.backend() == "torch", reason="Keras makes one step at a time there")
def test_several_steps_at_once():
    """`steps_per_execution`: the same results, in order."""
    inputs = keras.Input((3,))
    model = Model(inputs, keras.layers.Dense(2, activation="softmax")(inputs))
    expected = model.predict(X, batch_size=5, verbose=0)
    model.compile(real_keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy", steps_per_execution=2)
    np.testing.assert_allclose(model.predict(X, batch_size=5, verbose=0), expected, atol=1e-6)
    loss = -np.log(expected[np.arange(12), Y]).mean()
    assert model.evaluate(X, Y, batch_size=4, verbose=0) == pytest.approx(loss, rel=1e-5)
    assert model.fit(X, Y, batch_size=4, verbose=0).history["loss"] == [pytest.approx(loss, rel=1e-5)]
