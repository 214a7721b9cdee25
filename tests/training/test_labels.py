"""Labels that do not fit are found before the step that would learn them; losses of layers survive saving."""

from __future__ import annotations

import keras as real_keras
import numpy as np
import pytest
from keras import ops

from bert4keras2.backend import Model, keras
from bert4keras2.layers import ConditionalRandomField, Embedding, MaximumEntropyMarkovModel
from bert4keras2.snippets import DataGenerator

pytestmark = pytest.mark.backend
KINDS = {"crf": ConditionalRandomField, "memm": MaximumEntropyMarkovModel}


def tagger(kind: str = "crf", labels: int = 3, name: str | None = None, **options):
    """A compiled model over token ids, 0 being padding, and its last layer."""
    inputs = keras.Input((None,), dtype="int32", name="ids")
    x = Embedding(10, 8, mask_zero=True, name="Embedding-Token")(inputs)
    if kind in KINDS:
        layer = KINDS[kind](name=name or kind)
        model = Model(inputs, layer(keras.layers.Dense(labels)(x)))
        model.compile("sgd", loss=layer.sparse_loss, metrics=[layer.sparse_accuracy], **options)
    else:
        layer = keras.layers.Dense(labels, activation="softmax", name="softmax")
        model = Model(inputs, layer(x))
        model.compile("sgd", loss="sparse_categorical_crossentropy", **options)
    return model, layer


def samples(rows: int = 6, length: int = 5):
    ids = np.random.RandomState(0).randint(1, 10, (rows, length))
    ids[1, 3:] = 0
    return ids, ids % 3


class Batches(DataGenerator):
    def collate(self, batch):
        return np.array([ids for ids, _ in batch]), np.array([labels for _, labels in batch])


def plain(x, y):
    for start in range(0, len(x), 2):
        yield x[start : start + 2], y[start : start + 2]


def stream(x, y):
    return Batches(list(zip(x, y, strict=True)), 2).forfit(random=False)


WAYS = {
    "fit": lambda model, x, y: model.fit(x, y, verbose=0),
    "keyword": lambda model, x, y: model.fit(x=x, y=y, verbose=0),
    "evaluate": lambda model, x, y: model.evaluate(x, y, verbose=0),
    "train_on_batch": lambda model, x, y: model.train_on_batch(x, y),
    "test_on_batch": lambda model, x, y: model.test_on_batch(x, y),
    "validation": lambda model, x, y: model.fit(x, x * 0, validation_data=(x, y), verbose=0),
    "generator": lambda model, x, y: model.fit(plain(x, y), steps_per_epoch=3, verbose=0),
    "forfit": lambda model, x, y: model.fit(stream(x, y), steps_per_epoch=3, verbose=0),
    "validation stream": lambda model, x, y: model.fit(
        x, x * 0, validation_data=stream(x, y), validation_steps=3, verbose=0
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["crf", "softmax"])
def test_labels_out_of_range(kind, way):
    model, _ = tagger(kind, run_eagerly=way != "fit" and real_keras.backend.backend() == "tensorflow")
    x, y = samples()
    y[4, 2] = 3
    row = 0 if way in ("generator", "forfit", "validation stream") else 4  # of the batch
    with pytest.raises(ValueError, match=rf"label 3 at \({row}, 2\) \(row {row}\).*3 (labels|classes): 0 to 2"):
        WAYS[way](model, x, y)


@pytest.mark.parametrize("kind", ["memm", "softmax"])
def test_negative_labels_and_columns(kind):
    model, _ = tagger(kind)
    x, y = samples()
    y[5, 0] = -1
    with pytest.raises(ValueError, match=r"label -1 at \(5, 0\)"):
        model.fit(x, y[..., None], verbose=0)


@pytest.mark.parametrize("way", ["fit", "generator", "forfit"])
def test_padding_may_hold_any_label(way):
    model, _ = tagger()
    x, y = samples()
    y[1, 3:] = -100
    WAYS[way](model, x, y)
    y[1, 2] = -100
    with pytest.raises(ValueError, match=r"label -100 at \(\d, 2\)"):
        WAYS[way](model, x, y)


def test_labels_that_do_not_count():
    """Those whose sample weight is 0, and those that the loss is told to ignore."""
    x, y = samples()
    y[2] = 7
    model, _ = tagger()
    weights = np.ones(len(x))
    with pytest.raises(ValueError, match="label 7"):
        model.fit(x, y, sample_weight=weights, verbose=0)
    model, _ = tagger("softmax")
    model.compile("sgd", loss=real_keras.losses.SparseCategoricalCrossentropy(ignore_class=7))
    assert np.isfinite(model.fit(x, y, verbose=0).history["loss"]).all()
    y[3, 1] = 8
    with pytest.raises(ValueError, match=r"label 8 at \(3, 1\)"):
        model.fit(x, y, verbose=0)


@pytest.mark.parametrize(("kind", "shape"), [("crf", (6,)), ("crf", (6, 5, 3)), ("softmax", (6,))])
def test_labels_of_wrong_rank(kind, shape):
    model, _ = tagger(kind)
    with pytest.raises(ValueError, match=rf"{kind}.*labels of shape \({', '.join(map(str, shape))},?\).*integers"):
        model.fit(samples()[0], np.zeros(shape, "int32"), verbose=0)


def test_several_outputs():
    inputs = keras.Input((4,), name="features")
    outputs = [keras.layers.Dense(n, "softmax", name=name)(inputs) for n, name in ((2, "a"), (3, "b"))]
    model = Model(inputs, outputs)
    x, y = np.zeros((4, 4)), [np.array([0, 1, 0, 1]), np.array([0, 1, 2, 3])]
    sparse = "sparse_categorical_crossentropy"
    model.compile("sgd", [real_keras.losses.sparse_categorical_crossentropy, sparse])
    with pytest.raises(ValueError, match=r"Output 'b' got label 3 at \(3,\) \(row 3\)"):
        model.fit(x, y, verbose=0)
    model.compile("sgd", {"a": "mse", "b": sparse})
    with pytest.raises(ValueError, match="Output 'b' got label 3"):
        model.fit(x, {"a": np.zeros((4, 2)), "b": y[1]}, verbose=0)
    # Compiled anew, labels mean something else.
    model.compile("sgd", "mse")
    model.fit(x, [np.full((4, 2), 9), np.full((4, 3), 9)], verbose=0)


def test_a_stream_is_watched_by_the_model_that_reads_it():
    narrow, wide = tagger()[0], tagger(labels=9)[0]
    x, y = samples()
    batches = stream(x, y + 5)
    with pytest.raises(ValueError, match="3 labels"):
        narrow.fit(batches, steps_per_epoch=1, verbose=0)
    wide.fit(batches, steps_per_epoch=3, verbose=0)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_with_its_loss(kind, tmp_path):
    model, layer = tagger(kind, name="labels")
    x, y = samples()
    first = model.fit(x, y, verbose=0).history
    assert "sparse_accuracy" in first
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.loss.layer is again.get_layer("labels") is not layer
    expected, found = (m.evaluate(x, y, verbose=0, return_dict=True) for m in (model, again))
    assert set(expected) == {"loss", "sparse_accuracy"}
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5)
    again.get_layer("labels").weights[0].assign_add(np.eye(3))  # the loss is that of the model's own layer
    assert again.evaluate(x, y, verbose=0, return_dict=True)["loss"] != pytest.approx(expected["loss"], rel=1e-3)
    again.fit(x, y, verbose=0)


def test_saved_with_layers_deeper_down(tmp_path):
    """The layer is within a model within the model; another one is named as part of a list."""
    inner, layer = tagger()
    ids = keras.Input((None,), dtype="int32", name="ids")
    model = Model(ids, [inner(ids), keras.layers.Embedding(10, 2)(ids)])
    model.compile("sgd", loss=[layer.sparse_loss, "mse"], metrics=[[layer.sparse_accuracy], None])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    x, y = samples()
    targets = [y, np.zeros((*x.shape, 2))]
    expected = model.evaluate(x, targets, verbose=0, return_dict=True)
    found = again.evaluate(x, targets, verbose=0, return_dict=True)
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-5)
    assert [name for name in found if "accuracy" in name]


def test_a_loss_whose_layer_is_missing():
    from bert4keras2.training.layer_methods import LayerMethod, bind_methods

    model, _ = tagger()
    method = bind_methods(model, {"loss": LayerMethod("gone", "sparse_loss")})["loss"]
    with pytest.raises(ValueError, match="layer 'gone' which the loaded model does not have"):
        method(ops.zeros((1, 2)), ops.zeros((1, 2, 3)))
