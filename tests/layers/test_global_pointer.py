"""GlobalPointer and its efficient form: numbers, masks, losses, training (golden cases of the outputs run with those
of the other layers)."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras2.backend import multilabel_categorical_crossentropy, sparse_multilabel_categorical_crossentropy
from bert4keras2.layers import EfficientGlobalPointer, Embedding, GlobalPointer

pytestmark = pytest.mark.backend
FOLDER = Path(__file__).parent.parent / "golden" / "layers"
CASES = sorted(path.stem for path in FOLDER.glob("*global_pointer*.json"))
CLASSES = [GlobalPointer, EfficientGlobalPointer]


def array(x):
    return ops.convert_to_numpy(ops.stop_gradient(ops.convert_to_tensor(x)))


def dense_loss(y_true, y_pred):
    """The loss of scripts: labels (B, H, T, T) of 0 and 1."""
    shape = (y_pred.shape[1] * ops.shape(y_pred)[0], -1)
    y_true, y_pred = ops.reshape(y_true, shape), ops.reshape(y_pred, shape)
    return ops.mean(multilabel_categorical_crossentropy(y_true, y_pred))


def sparse_loss(y_true, y_pred):
    """The loss of scripts: spans (B, H, N, 2), (0, 0) being padding."""
    batch, heads, length = ops.shape(y_pred)[:3]
    y_true = y_true[..., 0] * ops.cast(length, "float32") + y_true[..., 1]
    y_pred = ops.reshape(y_pred, (batch, heads, length * length))
    return ops.mean(ops.sum(sparse_multilabel_categorical_crossentropy(y_true, y_pred, mask_zero=True), axis=1))


@pytest.mark.parametrize("case", CASES)
def test_golden_through_a_model(case):
    """The numbers hold when the mask flows by itself, in batches of unknown length."""
    info = json.loads((FOLDER / f"{case}.json").read_text())
    with np.load(FOLDER / f"{case}.npz") as data:
        arrays = dict(data)
    inputs = keras.Input((None, arrays["in/x"].shape[-1]))
    layer = {cls.__name__: cls for cls in CLASSES}[info["layer"]](**info["config"])
    x = inputs
    if "in/mask" in arrays:
        x = keras.layers.Masking(-99.0)(inputs)
        arrays["in/x"][~arrays["in/mask"]] = -99
    model = keras.Model(inputs, layer(x))
    assert model.output_shape == (None, 3, None, None)
    for weight in layer.weights:
        weight.assign(arrays["weight/" + "/".join(weight.path.split("/")[-2:])])
    assert len(layer.weights) == sum(name.startswith("weight/") for name in arrays)
    np.testing.assert_allclose(model.predict(arrays["in/x"], verbose=0), arrays["out/y"], atol=1e-5, rtol=0)


def spans(rows: int = 32, length: int = 8):
    """Ids and spans: id 1 starts a span of type 0, id 2 one of type 1; both end at the next id 3."""
    rng = np.random.default_rng(0)
    ids = rng.integers(4, 10, (rows, length))
    dense, sparse = np.zeros((rows, 2, length, length)), np.zeros((rows, 2, 1, 2))
    for row in range(rows):
        start, kind = rng.integers(1, 3), rng.integers(2)
        end = start + rng.integers(1, 3)
        ids[row, start], ids[row, end], ids[row, end + 2 :] = kind + 1, 3, 0
        dense[row, kind, start, end], sparse[row, kind, 0] = 1, (start, end)
    return ids, dense, sparse


def pointer(cls, **options):
    inputs = keras.Input((None,), dtype="int32")
    x = Embedding(10, 16, mask_zero=True, name="Embedding-Token")(inputs)
    return keras.Model(inputs, cls(2, 8, name="pointer", **options)(x))


@pytest.mark.parametrize("cls", CLASSES)
def test_mask_flows_from_the_token_ids(cls):
    model = pointer(cls)
    ids = np.array([[5, 6, 7, 0], [5, 0, 0, 0]])
    scores = model.predict(ids, verbose=0)
    visible = (ids > 0)[:, None, :, None] & (ids > 0)[:, None, None, :] & np.triu(np.ones((4, 4), bool))
    np.testing.assert_array_equal(np.isfinite(scores), np.broadcast_to(visible, scores.shape))
    assert (scores[~np.broadcast_to(visible, scores.shape)] == -np.inf).all()
    np.testing.assert_allclose(model.predict(ids[:1, :3], verbose=0), scores[:1, :, :3, :3], atol=1e-5)
    assert getattr(model(ids), "_keras_mask", None) is None


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_fit_learns(cls, form):
    keras.utils.set_random_seed(2)
    model = pointer(cls)
    ids, dense, sparse = spans()
    loss, y = (dense_loss, dense) if form == "dense" else (sparse_loss, sparse)
    model.compile(keras.optimizers.Adam(0.02), loss=loss)
    history = model.fit(ids, y, batch_size=16, epochs=20, verbose=0).history["loss"]
    assert np.isfinite(history).all() and history[-1] < 0.4 * history[0]
    if form == "dense":
        predicted = model.predict(ids, verbose=0) > 0
        assert (predicted & (dense > 0)).sum() > 0.9 * dense.sum()


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("loss", [dense_loss, sparse_loss])
def test_rows_of_padding_train_finitely(cls, loss):
    inputs = keras.Input((5,), dtype="int32")
    x = keras.layers.Embedding(10, 8, mask_zero=True)(inputs)
    model = keras.Model(inputs, cls(2, 4)(x))
    model.compile("sgd", loss=loss)
    y = np.zeros((2, 2, 5, 5) if loss is dense_loss else (2, 2, 1, 2))
    value = model.train_on_batch(np.array([[0] * 5, [1, 2, 3, 0, 0]]), y)
    assert np.isfinite(value)
    assert all(np.isfinite(array(weight)).all() for weight in model.weights)


@pytest.mark.parametrize("cls", CLASSES)
def test_rotary_scores_depend_on_distance_alone(cls):
    layer = cls(1, 8, tril_mask=False, use_bias=False)
    x = np.tile(np.random.default_rng(0).normal(size=(1, 1, 6)), (1, 7, 1)).astype("float32")
    scores = array(layer(x))[0, 0]
    for offset in range(-3, 4):
        assert np.ptp(np.diag(scores, offset)) < 1e-5
    assert np.ptp(scores) > 1e-3


@pytest.mark.parametrize("cls", CLASSES)
def test_bad_arguments(cls):
    with pytest.raises(ValueError, match="even, not 7"):
        cls(2, 7)
    with pytest.raises(ValueError, match="positive, not 0"):
        cls(0, 8)
    with pytest.raises(ValueError, match=r"batch, length, width.*\(None, 8\)"):
        cls(2, 8).build((None, 8))


@pytest.mark.parametrize("cls", CLASSES)
def test_saved_model(cls, tmp_path):
    model = pointer(cls, RoPE=False, tril_mask=False, use_bias=False)
    ids = spans(4)[0]
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(ids, verbose=0), model.predict(ids, verbose=0), atol=1e-6)
    assert again.get_layer("pointer").get_config() == model.get_layer("pointer").get_config()


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(cls, policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = pointer(cls)
    finally:
        keras.config.set_dtype_policy("float32")
    ids, dense, _ = spans(8)
    layer = model.get_layer("pointer")
    assert keras.backend.standardize_dtype(layer.compute_dtype) == policy[6:]
    assert keras.backend.standardize_dtype(model(ids).dtype) == "float32"
    assert keras.backend.standardize_dtype(model.output.dtype) == "float32"
    model.compile("adam", loss=dense_loss)
    assert np.isfinite(model.fit(ids, dense, verbose=0).history["loss"]).all()
