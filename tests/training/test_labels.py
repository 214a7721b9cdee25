"""Labels that do not fit are found before the step that would learn them; losses of layers survive saving."""

from __future__ import annotations

import keras as real_keras
import numpy as np
import pytest
from keras import ops

from bert4keras2.backend import (
    Model,
    keras,
    multilabel_categorical_crossentropy,
    sparse_multilabel_categorical_crossentropy,
)
from bert4keras2.layers import (
    ConditionalRandomField,
    EfficientGlobalPointer,
    Embedding,
    MaximumEntropyMarkovModel,
)
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


@pytest.mark.parametrize("kind", ["crf", "softmax"])
@pytest.mark.parametrize("way", ["fit", "generator", "forfit"])
def test_padding_may_hold_any_label(kind, way):
    model, _ = tagger(kind)
    x, y = samples()
    expected = model.evaluate(x, y, verbose=0, return_dict=True)["loss"]
    y[1, 3:] = -100
    assert model.evaluate(x, y, verbose=0, return_dict=True)["loss"] == pytest.approx(expected, rel=1e-5)
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


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.5])
@pytest.mark.parametrize("way", ["fit", "forfit", "train_on_batch"])
def test_labels_that_are_no_numbers(value, way):
    model, _ = tagger("softmax")
    x, y = samples()
    y = y.astype("float32")
    y[0, 2] = value
    with pytest.raises(ValueError, match=r"Output 'softmax' got label (nan|-?inf|0.5) at \(0, 2\) \(row 0\)"):
        WAYS[way](model, x, y)
    y[0, 2] = 0
    weights = np.ones(6)
    weights[3] = value
    if value != 0.5:
        with pytest.raises(ValueError, match=r"'softmax' got the sample weight (nan|-?inf) at \(3,\)"):
            model.fit(x, y, sample_weight=weights, verbose=0)


@pytest.mark.parametrize(
    ("loss", "label", "message"),
    [
        ("binary_crossentropy", 2, "label 2 at .*takes numbers from 0 to 1.*sparse_categorical_crossentropy"),
        ("binary_crossentropy", np.nan, "label nan at"),
        ("categorical_crossentropy", -1, "label -1 at .*one-hot labels are 0 and 1"),
        ("mse", np.nan, "label nan at .*no number to learn from"),
        (real_keras.losses.mean_squared_error, np.inf, "label inf at"),
        (real_keras.losses.Huber(), -np.inf, "label -inf at"),
    ],
)
def test_labels_of_other_losses(loss, label, message):
    model = Model(x := keras.Input((4,)), keras.layers.Dense(3, activation="sigmoid", name="out")(x))
    model.compile("sgd", loss)
    y = np.zeros((5, 3))
    y[:, 1] = 1
    model.fit(np.zeros((5, 4)), y, verbose=0)
    y[3, 1] = label
    with pytest.raises(ValueError, match=f"Output 'out' got {message}"):
        model.fit(np.zeros((5, 4)), y, verbose=0)


def test_a_loss_of_the_scripts_own_is_warned_about():
    """It may know what NaN means."""

    def known(y_true, y_pred):
        seen = ~ops.isnan(y_true)
        return ops.where(seen, ops.square(ops.where(seen, y_true, 0.0) - y_pred), 0.0)

    model = Model(x := keras.Input((4,)), keras.layers.Dense(1, name="out")(x))
    model.compile("sgd", known)
    with pytest.warns(UserWarning, match="'out' got label nan at .*training goes on"):
        history = model.fit(np.zeros((3, 4)), np.array([[0], [np.nan], [1]], "float32"), verbose=0)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.parametrize("pairs", [False, True])
def test_spans_that_end_before_they_start(pairs):
    inputs = keras.Input((None,), dtype="int32", name="ids")
    layer = EfficientGlobalPointer(2, 4, name="spans")
    model = Model(inputs, layer(Embedding(10, 8, mask_zero=True)(inputs)))

    def loss(y_true, y_pred):
        if pairs:
            return sparse_multilabel_categorical_crossentropy(flat(y_true), ops.reshape(y_pred, (2, 2, 25)), True)
        shape = (2, 2, 25)
        return multilabel_categorical_crossentropy(ops.reshape(y_true, shape), ops.reshape(y_pred, shape))

    def flat(y_true):
        y_true = ops.cast(y_true, "int32")
        return y_true[..., 0] * 5 + y_true[..., 1]

    model.compile("sgd", loss)
    x = np.full((2, 5), 3)
    if pairs:
        y = np.zeros((2, 2, 3, 2), "int32")
        y[1, 0, 0] = 1, 3
        wrong = y.copy()
        wrong[1, 0, 0] = 3, 1
    else:
        y = np.zeros((2, 2, 5, 5), "float32")
        y[1, 0, 1, 3] = 1
        wrong = y.transpose(0, 1, 3, 2)
    assert np.isfinite(model.fit(x, y, verbose=0).history["loss"]).all()
    with pytest.raises(ValueError, match=r"'spans' got a label for the span from 3 to 1 \(row 1, type 0\).*swapped"):
        model.fit(x, wrong, verbose=0)


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
