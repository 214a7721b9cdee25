"""Home-made metrics, on outputs with and without a mask; several outputs with losses by name."""

from __future__ import annotations

import keras as real_keras
import numpy as np
import pytest
from keras import ops

from bert4keras2.backend import K, Model, keras
from bert4keras2.layers import ConditionalRandomField, Embedding
from bert4keras2.training.function_metrics import FunctionMetric

pytestmark = pytest.mark.backend
IDS = np.array([[2, 7, 8, 3, 0, 0], [2, 7, 8, 9, 9, 3], [1, 2, 0, 0, 0, 0]])
TAGS, MASK, LABELS = IDS % 2, IDS > 0, np.array([0, 1, 1])


@real_keras.saving.register_keras_serializable("tests")
def f1(y_true, y_pred):
    """One number for the batch, padding included, as scripts write it."""
    hits = K.sum(K.round(K.clip(y_true * y_pred, 0, 1)))
    return 2 * hits / (K.sum(K.round(y_true)) + K.sum(K.round(y_pred)) + K.epsilon())


def error_of_rows(y_true, y_pred):
    return ops.mean(ops.abs(ops.cast(y_true, y_pred.dtype) - y_pred), -1)


def whole_rows(y_true, y_pred):
    """One number for a row: whether all of it is right."""
    return ops.cast(ops.all(ops.equal(y_true, ops.round(y_pred)), axis=(1, 2)), "float32")


def plain_f1(y, p):
    return 2 * (y * np.round(p)).sum() / (y.sum() + np.round(p).sum() + 1e-7)


@pytest.fixture(scope="module")
def model():
    ids = keras.Input((None,), dtype="int32", name="ids")
    x = Embedding(10, 8, mask_zero=True, embeddings_initializer=real_keras.initializers.RandomNormal(0, 0.3, seed=1))(
        ids
    )
    crf = ConditionalRandomField(name="crf")
    pooled = keras.layers.GlobalAveragePooling1D()(x)
    outputs = [
        keras.layers.Dense(1, "sigmoid", name="start", bias_initializer=real_keras.initializers.Constant(0.5))(
            x
        ),  # has a mask
        keras.layers.Dense(1, "sigmoid", name="valid")(pooled),  # has none
        keras.layers.Dense(3, "softmax", name="label")(pooled),
        crf(keras.layers.Dense(2)(x)),
    ]
    model = Model(ids, outputs)
    model.compile(
        real_keras.optimizers.SGD(0.0),
        loss={
            "label": "sparse_categorical_crossentropy",
            "crf": crf.sparse_loss,
            "start": "binary_crossentropy",
            "valid": "binary_crossentropy",
        },
        loss_weights={"start": 1.0, "valid": 2.0, "label": 0.5, "crf": 0.1},
        metrics={
            "start": [f1, error_of_rows, whole_rows],
            "valid": f1,
            "label": "accuracy",
            "crf": crf.sparse_accuracy,
        },
    )
    return model


TARGETS = {
    "start": TAGS[..., None].astype("float32"),
    "valid": LABELS[:, None].astype("float32"),
    "label": LABELS,
    "crf": TAGS,
}
NAMES = ["start", "valid", "label", "crf"]


def test_numbers(model):
    """Of one batch, whatever the targets come as; and the mean of batches, of which each counts once."""
    start, valid, label, _ = model.predict(IDS, verbose=0)
    losses = {
        "start": -np.log(np.where(TAGS, start[..., 0], 1 - start[..., 0]))[MASK].mean(),
        "valid": -np.log(np.where(LABELS, valid[:, 0], 1 - valid[:, 0])).mean(),
        "label": -np.log(label[range(3), LABELS]).mean(),
    }
    for y in (TARGETS, [TARGETS[name] for name in NAMES]):
        found = model.evaluate(IDS, y, verbose=0, return_dict=True)
        for name, value in losses.items():
            assert found[f"{name}_loss"] == pytest.approx(value, rel=1e-4), name
        weighted = losses["start"] + 2 * losses["valid"] + 0.5 * losses["label"] + 0.1 * found["crf_loss"]
        assert found["loss"] == pytest.approx(weighted, rel=1e-4)
        assert found["start_f1"] == pytest.approx(plain_f1(TARGETS["start"], start), rel=1e-5)
        assert found["valid_f1"] == pytest.approx(plain_f1(TARGETS["valid"], valid), rel=1e-5)
        errors = np.abs(TARGETS["start"] - start)[..., 0]
        assert found["start_error_of_rows"] == pytest.approx(errors[MASK].mean(), rel=1e-5)
        right = (TARGETS["start"] == np.round(start)).all((1, 2))
        assert found["start_whole_rows"] == pytest.approx(right.mean())
        assert model.fit(IDS, y, verbose=0).history["start_f1"] == [pytest.approx(found["start_f1"], rel=1e-5)]
    found = model.evaluate(IDS, TARGETS, batch_size=2, verbose=0, return_dict=True)["start_f1"]
    parts = [plain_f1(TARGETS["start"][part], start[part]) for part in (slice(2), slice(2, None))]
    assert found == pytest.approx(np.mean(parts), rel=1e-5)


def test_weights_of_rows(model):
    """On an output with a mask too, where Keras alone multiplies (B,) by (B, T)."""
    start = model.predict(IDS, verbose=0)[0][..., 0]
    weights = np.array([1.0, 0.0, 3.0])
    each = -np.log(np.where(TAGS, start, 1 - start))
    for given in (dict.fromkeys(NAMES, weights), [weights] * 4):
        y = TARGETS if isinstance(given, dict) else [TARGETS[name] for name in NAMES]
        found = model.evaluate(IDS, y, sample_weight=given, verbose=0, return_dict=True)
        assert found["start_loss"] == pytest.approx((each * weights[:, None] * MASK).sum() / MASK.sum(), rel=1e-4)


def test_files(model, tmp_path):
    path = tmp_path / "model.keras"
    single = Model(model.inputs, model.outputs[0])
    single.compile("sgd", "binary_crossentropy", metrics=[f1])
    expected = single.evaluate(IDS, TARGETS["start"], verbose=0, return_dict=True)
    single.save(path)
    again = keras.models.load_model(path)
    assert again.evaluate(IDS, TARGETS["start"], verbose=0, return_dict=True) == pytest.approx(expected, rel=1e-5)
    assert expected["f1"] > 0


def test_weighted_metrics(model):
    start = model.predict(IDS, verbose=0)[0]
    single = Model(model.inputs, model.outputs[0])
    single.compile("sgd", "binary_crossentropy", weighted_metrics=[error_of_rows, f1])
    weights = np.array([1.0, 0.0, 3.0])
    found = single.evaluate(IDS, TARGETS["start"], sample_weight=weights, verbose=0, return_dict=True)
    errors, each = np.abs(TARGETS["start"] - start)[..., 0], weights[:, None] * MASK
    assert found["error_of_rows"] == pytest.approx((errors * each).sum() / each.sum(), rel=1e-5)
    assert found["f1"] == pytest.approx(plain_f1(TARGETS["start"], start), rel=1e-5)


def test_the_wrapper():
    metric = FunctionMetric(f1)
    assert metric.name == "f1" and FunctionMetric.from_config(metric.get_config()).name == "f1"
    metric.update_state(ops.ones((2, 3)), ops.ones((2, 3)))
    assert float(metric.result()) == pytest.approx(1)
