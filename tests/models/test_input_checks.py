"""Ids and lengths are checked before they reach the backend."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest
from cases import batch, build
from test_loading import values

from bert4keras2.backend import Model

pytestmark = pytest.mark.backend

# -- ids and lengths ---------------------------------------------------------------------------------------------


def generator(*batches):
    yield from batches


HOW = ("predict", "fit", "evaluate", "train_on_batch", "generator", "late generator", "dict", "validation")
WRONG = [("id", how) for how in HOW] + [("length", how) for how in ("fit", "late generator", "validation")]
WRONG += [(what, "predict") for what in ("segment", "position", "negative", "length")]
to_check = functools.cache(build)


@pytest.mark.parametrize(("what", "how"), WRONG)
def test_ids_and_lengths_are_checked(what, how):
    """On every backend the same error, before the step that would meet it."""
    name = "bert-positions" if what == "position" else "bert-encoder"
    model = to_check(name).model
    length = 21 if what == "length" else 6
    x = [np.ones((2, length), "int32") for _ in model.inputs]
    good = [np.ones((2, 5), "int32") for _ in model.inputs]
    if what == "id":
        x[0][1, 3] = 40
    elif what == "segment":
        x[1][1, 3] = 2
    elif what == "negative":
        x[0][1, 3] = -1
    elif what == "position":
        x[2][1, 3] = 20
    message = {
        "id": r"Input 'Input-Token' has id 40 at \(1, 3\), but layer 'Embedding-Token' has 40 rows",
        "segment": r"Input 'Input-Segment' has id 2 at \(1, 3\), but layer 'Embedding-Segment' has 2 rows",
        "position": r"Input 'Input-Position' has id 20 at \(1, 3\), but layer 'Embedding-Position' has 20 rows",
        "negative": r"Input 'Input-Token' has id -1 at \(1, 3\)",
        "length": r"sequences of length 21, but layer 'Embedding-Position' knows 20 positions",
    }[what]
    y, good_y = np.zeros((2, length, 16)), np.zeros((2, 5, 16))
    model.compile("sgd", "mse", run_eagerly=keras.backend.backend() == "tensorflow")
    calls = {
        "predict": lambda: model.predict(x, verbose=0),
        "fit": lambda: model.fit(x, y, verbose=0),
        "evaluate": lambda: model.evaluate(x, y, verbose=0),
        "train_on_batch": lambda: model.train_on_batch(x, y),
        "generator": lambda: model.fit(generator((tuple(x), y)), steps_per_epoch=1, verbose=0),
        "late generator": lambda: model.fit(
            generator((tuple(good), good_y), (tuple(a[:, :4] for a in good), good_y[:, :4]), (tuple(x), y)),
            steps_per_epoch=3,
            verbose=0,
        ),
        "dict": lambda: model.predict(dict(zip([t.name for t in model.inputs], x, strict=True)), verbose=0),
        "validation": lambda: model.fit(good, good_y, validation_data=(x, y), verbose=0),
    }
    with pytest.raises(ValueError, match=message):
        calls[how]()


def test_data_generator_is_checked():
    from bert4keras2.snippets import DataGenerator

    class Batches(DataGenerator):
        def collate(self, batch):
            ids = np.array(batch)
            return [ids, ids * 0], np.zeros((*ids.shape, 16), "float32")

    model = build("bert-encoder").model
    model.compile("sgd", "mse", run_eagerly=keras.backend.backend() == "tensorflow")
    data = Batches([[1, 2, 3]] * 6 + [[1, 2, 99]], batch_size=2)
    with pytest.raises(ValueError, match="'Input-Token' has id 99"):
        model.fit(data.forfit(random=False), steps_per_epoch=len(data), verbose=0)
    with pytest.raises(ValueError, match="'Input-Token' has id 99"):
        model.predict(data.fortest(), steps=len(data), verbose=0)
    with pytest.raises(ValueError, match="'Input-Token' has id 99"):
        model.predict(Batches([[99, 2, 3]], 2).fortest(), verbose=0)
    with pytest.raises(ValueError, match="'Input-Token' has id 99"):
        model.evaluate(Batches([[99, 2, 3]], 2).forfit(), steps=1, verbose=0)
    assert model.predict(Batches([[1, 2, 3]] * 3, 2).fortest(), verbose=0).shape == (3, 3, 16)


def test_an_interrupted_run_keeps_the_weights():
    """Keras on JAX takes the variables' values away while it predicts; they come back whatever ends the loop."""

    def batches():
        yield ([np.ones((2, 4), "int32")] * 2,)
        yield ([np.ones((2, 4), "int32")] * 2,)
        yield ([np.ones((2, 4), "int32")] * 2,)
        raise KeyboardInterrupt

    model = build("bert-encoder").model
    before = values(model)
    with pytest.raises(KeyboardInterrupt if keras.backend.backend() != "tensorflow" else Exception):
        model.predict(batches(), verbose=0)
    for a, b in zip(before, values(model), strict=True):
        np.testing.assert_array_equal(a, b)


def test_models_within_models_are_checked():
    encoder = build("bert-encoder").model
    inputs = [keras.Input((None,), dtype="int32", name=name) for name in ("a", "b", "c")]
    whole = type(encoder)(inputs, keras.layers.Add()([encoder(inputs[:2]), encoder([inputs[2], inputs[1]])]))
    x = [np.ones((2, 4), "int32") for _ in inputs]
    x[2][0, 1] = 50
    with pytest.raises(ValueError, match=r"Input 'c' has id 50 at \(0, 1\)"):
        whole.predict(x, verbose=0)
    with pytest.raises(ValueError, match="Input 'a' has sequences of length 30"):
        whole.predict([np.ones((2, 30), "int32")] * 3, verbose=0)


@pytest.mark.parametrize("name", ["roformer-encoder", "bert-hierarchical"])
def test_long_texts_where_they_are_fine(name):
    model = build(name).model
    length = {"roformer-encoder": 50, "bert-hierarchical": 16}[name]
    assert model.predict([np.ones((1, length), "int32")] * 2, verbose=0).shape == (1, length, 16)
    if name == "bert-hierarchical":
        with pytest.raises(ValueError, match="length 17, but layer 'Embedding-Position' knows 16 positions"):
            model.predict([np.ones((1, 17), "int32")] * 2, verbose=0)


def test_padding_of_roberta():
    """Its padding is 1, and 0 begins a text: a batch that was padded with 0 is an error, not a wrong number."""
    transformer = build("xlm_roberta-mlm")
    model, arrays = transformer.model, batch(transformer)
    model.predict(list(arrays.values()), verbose=0)
    arrays["Input-Token"][-1, -2:] = 0
    with pytest.raises(ValueError, match=r"Input-Token.*its padding is id 1.*sequence_padding\(ids, value=1\)"):
        model.predict(list(arrays.values()), verbose=0)
    inner = Model(model.inputs, keras.layers.Dense(2)(model(model.inputs)[-1]))
    with pytest.raises(ValueError, match="its padding is id 1"):
        inner.predict(list(arrays.values()), verbose=0)
