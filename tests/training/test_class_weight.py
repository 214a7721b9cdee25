"""class_weight acts on whatever is trained on, or an error says why it cannot."""

from __future__ import annotations

import keras as real_keras
import numpy as np
import pytest

from bert4keras2.backend import Model, keras
from bert4keras2.layers import ConditionalRandomField
from bert4keras2.snippets import DataGenerator

pytestmark = pytest.mark.backend
BACKEND = real_keras.backend.backend()
X = np.random.RandomState(0).randint(1, 10, (12, 5))
X[0, 3:] = 0
Y = np.arange(12) % 3
WEIGHTS = {1: 3.0, 2: 0.0}  # class 0 is not named
EACH = np.array([1.0, 3.0, 0.0])
SPARSE = "sparse_categorical_crossentropy"


def build(heads, **losses):
    ids = keras.Input((None,), dtype="int32", name="ids")
    tokens = keras.layers.Embedding(10, 4, mask_zero=True)(ids)
    pooled = keras.layers.GlobalAveragePooling1D()(tokens)
    outputs = [keras.layers.Dense(3, "softmax", name=name)(tokens if name == "tags" else pooled) for name in heads]
    model = Model(ids, outputs if len(outputs) > 1 else outputs[0])
    model.compile(real_keras.optimizers.SGD(0.0), losses if len(losses) > 1 else next(iter(losses.values())))
    return model


@pytest.fixture(scope="module")
def model():
    return build(["label"], label=SPARSE)


def nll(model, x, y):
    probabilities = model.predict(x, verbose=0)
    return -np.log(np.take_along_axis(probabilities, y[..., None], -1)[..., 0])


class Generator(DataGenerator):
    def collate(self, batch):
        return np.array([x for x, _ in batch]), np.array([y for _, y in batch])


class Dataset(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, i):
        return X[4 * i : 4 * i + 4], Y[4 * i : 4 * i + 4]


DATA = list(zip(X, Y, strict=True))
WAYS = {
    "arrays": (X, Y),
    "lists": (X.tolist(), Y.tolist()),
    "columns": (X, Y[:, None]),
    "DataGenerator": (Generator(DATA, 4),),
    "PyDataset": (Dataset(),),
}


@pytest.mark.parametrize("weights", [WEIGHTS, EACH, EACH.tolist(), {"label": WEIGHTS}, {np.int64(1): 3, 2: 0}])
def test_kinds_of_weights(model, weights):
    expected = (nll(model, X, Y) * EACH[Y]).mean()
    assert model.fit(X, Y, class_weight=weights, verbose=0).history["loss"][0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_ways_of_training(model, way):
    expected = (nll(model, X, Y) * EACH[Y]).mean()
    logs = model.fit(*WAYS[way], class_weight=WEIGHTS, verbose=0).history
    assert logs["loss"][0] == pytest.approx(expected, rel=1e-5)


def test_other_ways(model):
    expected = (nll(model, X, Y) * EACH[Y]).mean()
    batches = ((x[None], y[None]) for x, y in DATA)
    logs = model.fit(batches, steps_per_epoch=12, class_weight=WEIGHTS, verbose=0).history
    assert logs["loss"][0] == pytest.approx(expected, rel=1e-5)
    assert model.train_on_batch(X, Y, class_weight=WEIGHTS) == pytest.approx(expected, rel=1e-5)
    # Together with weights of samples, and beside what is validated, which is not weighed.
    samples = np.linspace(0, 1, 12)
    logs = model.fit(X, Y, sample_weight=samples, class_weight=WEIGHTS, validation_data=(X, Y), verbose=0).history
    assert logs["loss"][0] == pytest.approx((nll(model, X, Y) * EACH[Y] * samples).mean(), rel=1e-5)
    assert logs["val_loss"][0] == pytest.approx(nll(model, X, Y).mean(), rel=1e-5)
    logs = model.fit(X, Y, class_weight=WEIGHTS, validation_split=0.25, verbose=0).history
    losses = nll(model, X, Y)
    assert logs["loss"][0] == pytest.approx((losses * EACH[Y])[:9].mean(), rel=1e-5)
    assert logs["val_loss"][0] == pytest.approx(losses[9:].mean(), rel=1e-5)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="about tf.data")
def test_datasets_of_tensorflow(model):
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)
    expected = (nll(model, X, Y) * EACH[Y]).mean()
    for weights in (WEIGHTS, EACH):
        assert model.fit(data, class_weight=weights, verbose=0).history["loss"][0] == pytest.approx(expected, rel=1e-5)


def test_labels_of_tokens_and_several_outputs():
    model = build(["label", "tags"], label="categorical_crossentropy", tags=SPARSE)
    tags, mask = X % 3, X > 0
    one_hot = np.eye(3)[Y]
    probabilities, tag_probabilities = model.predict(X, verbose=0)
    label_loss = -np.log(probabilities[np.arange(12), Y])
    tag_loss = -np.log(np.take_along_axis(tag_probabilities, tags[..., None], -1)[..., 0])
    for y in ([one_hot, tags], {"label": one_hot, "tags": tags}):
        logs = model.fit(X, y, class_weight={"tags": WEIGHTS, "label": [2, 2, 2]}, verbose=0, batch_size=12).history
        expected = 2 * label_loss.mean() + (tag_loss * EACH[tags] * mask).sum() / mask.sum()
        assert logs["loss"][0] == pytest.approx(expected, rel=1e-5)
        logs = model.fit(X, y, class_weight={"label": [2, 2, 2]}, verbose=0, batch_size=12).history
        assert logs["loss"][0] == pytest.approx(2 * label_loss.mean() + tag_loss[mask].mean(), rel=1e-5)
    for weights in (WEIGHTS, {"tag": WEIGHTS}, [1.0, 2.0, 3.0]):
        with pytest.raises(ValueError, match="does not say which output.*label, tags"):
            model.fit(X, [one_hot, tags], class_weight=weights, verbose=0)


def test_smoothed_labels():
    model = build(["label"], label="categorical_crossentropy")
    smoothed = np.eye(3)[Y] * 0.9 + 0.1 / 3
    expected = -(np.log(model.predict(X, verbose=0)) * smoothed).sum(-1)
    logs = model.fit(X, smoothed, class_weight=WEIGHTS, verbose=0).history
    assert logs["loss"][0] == pytest.approx((expected * EACH[Y]).mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("balanced", "is a name; compute the weights"),
        ({"positive": 2.0}, "class 'positive', but classes are whole numbers"),
        ({0.5: 2.0}, "class 0.5"),
        ({0: float("nan")}, "weight nan for class 0"),
        ({0: "2"}, "weight '2' for class 0"),
        (np.ones((2, 2)), "a list of weights by class"),
    ],
)
def test_weights_that_are_none(model, weights, message):
    with pytest.raises((TypeError, ValueError), match=message):
        model.fit(X, Y, class_weight=weights, verbose=0)


def test_labels_without_classes():
    ids = keras.Input((None,), dtype="int32")
    tokens = keras.layers.Embedding(10, 3, mask_zero=True)(ids)
    crf = ConditionalRandomField(name="crf")
    tagger = Model(ids, crf(tokens))
    tagger.compile("sgd", crf.sparse_loss)
    with pytest.raises(ValueError, match="'crf': sparse_loss is one number for a whole sequence"):
        tagger.fit(X, X % 3, class_weight=WEIGHTS, verbose=0)
    regression = Model(ids, keras.layers.Dense(1, name="score")(keras.layers.GlobalAveragePooling1D()(tokens)))
    regression.compile("sgd", "mse")
    with pytest.raises(ValueError, match="output 'score': its labels are no classes"):
        regression.fit(X, Y / 2, class_weight=WEIGHTS, verbose=0)
    several = Model(
        ids, keras.layers.Dense(3, "sigmoid", name="several")(keras.layers.GlobalAveragePooling1D()(tokens))
    )
    several.compile("sgd", "binary_crossentropy")
    with pytest.raises(ValueError, match="'several': its labels of shape .* are not one class each"):
        several.fit(X, np.ones((12, 3)), class_weight=WEIGHTS, verbose=0)
    with pytest.raises(ValueError, match="weighs targets, but there are none"):
        several.fit(X, class_weight=WEIGHTS, verbose=0)
