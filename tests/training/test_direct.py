"""`predict` of few rows, which builds no pipeline, does what Keras' own does."""

from __future__ import annotations

import re

import keras as keras_itself
import numpy as np
import pytest

from bert4keras2.backend import keras

pytestmark = pytest.mark.backend


@pytest.fixture(scope="module")
def model():
    """A model with an integer and a float input, two outputs and a layer that differs in training."""
    ids, x = keras.layers.Input((None,), dtype="int32", name="ids"), keras.layers.Input((3,), name="x")
    table = keras.layers.Embedding(9, 4, name="table")(ids)
    mean = keras.layers.GlobalAveragePooling1D()(keras.layers.Dropout(0.5)(table))
    joined = keras.layers.Concatenate(name="joined")([mean, x])
    found = keras.models.Model([ids, x], [keras.layers.Dense(2, name="first")(joined), joined])
    found.predict(rows(1), verbose=0)  # what arguments Keras' methods have is looked up before the tests replace some
    return found


class Listener(keras.callbacks.Callback):
    """Notes what it hears."""

    def __init__(self, stop_at: int | None = None):
        super().__init__()
        self.heard, self.stop_at = [], stop_at

    def on_predict_begin(self, logs=None):
        self.heard.append("begin")

    def on_predict_batch_begin(self, batch, logs=None):
        self.heard.append(("begin", batch))

    def on_predict_batch_end(self, batch, logs=None):
        sums = [float(keras_itself.ops.sum(output)) for output in logs["outputs"]]
        self.heard.append(
            ("end", batch, [tuple(output.shape) for output in logs["outputs"]], np.round(sums, 4).tolist())
        )
        self.model.stop_predicting = batch == self.stop_at

    def on_predict_end(self, logs=None):
        self.heard.append("end")


def rows(count: int) -> list[np.ndarray]:
    random = np.random.RandomState(count)
    return [random.randint(0, 9, (count, 5)), random.standard_normal((count, 3))]  # int64 and float64, as NumPy makes


def by_keras(model, *args, **kwargs):
    """Return what Keras' own predict returns."""
    return keras_itself.Model.predict(model, *args, **kwargs)


@pytest.fixture
def no_pipeline(monkeypatch):
    """Make whatever goes on to Keras' own predict fail."""

    def fail(*args, **kwargs):
        raise AssertionError("a pipeline was built")

    return lambda: monkeypatch.setattr(keras_itself.Model, "predict", fail)


def test_same_results(model, no_pipeline):
    x, many, named = rows(3), rows(70), dict(zip(("ids", "x"), rows(2), strict=True))
    cases = [(x, {}), (many, {}), (many, {"batch_size": 10}), (named, {}), (rows(1), {})]
    expected = [by_keras(model, data, verbose=0, **options) for data, options in cases]
    no_pipeline()
    for (data, options), outputs in zip(cases, expected, strict=True):
        found = model.predict(data, verbose=0, **options)
        assert isinstance(found, list) and len(found) == 2
        for own, other in zip(found, outputs, strict=True):
            assert type(own) is np.ndarray and own.dtype == other.dtype and own.flags.writeable
            np.testing.assert_allclose(own, other, atol=1e-6)
    assert model.predict([[[1, 2]], [[1.0, 2, 3]]], verbose=0)[0].shape == (1, 2)


def test_callbacks_and_the_bar(model, no_pipeline, capsys):
    x = rows(70)
    said, heard = [], []
    for predict in (lambda *args, **kwargs: by_keras(model, *args, **kwargs), model.predict):
        if heard:
            no_pipeline()
        listeners = [Listener(), Listener(stop_at=1)]
        predict(x, callbacks=listeners[:1], verbose=2)
        assert len(predict(x, callbacks=listeners[1:], verbose=0)[0]) == 64
        heard.append([listener.heard for listener in listeners])
        said.append(re.sub(r"\d+(s|ms|us)\b", "?", capsys.readouterr().out))
    assert heard[0] == heard[1] and heard[1][0][0] == "begin" and len(heard[1][0]) == 8
    assert said[0] == said[1] and "3/3" in said[1]


def test_many_rows_and_streams_go_on_to_keras(model):
    x = rows(40)
    expected = by_keras(model, x, verbose=0)[0]
    np.testing.assert_allclose(model.predict(x, batch_size=4, verbose=0)[0], expected, atol=1e-6)
    batches = (([part[start : start + 8] for part in x],) for start in range(0, 40, 8))
    np.testing.assert_allclose(model.predict(batches, steps=5, verbose=0)[0], expected, atol=1e-6)


def test_weights_of_now(model):
    """What is trained between two calls counts."""
    x = rows(2)
    before = model.predict(x, verbose=0)[0]
    layer = model.get_layer("first")
    layer.bias.assign(layer.bias + 1)
    np.testing.assert_allclose(model.predict(x, verbose=0)[0], before + 1, atol=1e-6)
    layer.bias.assign(layer.bias - 1)
