"""The maximum entropy Markov model: numbers, masks, errors, training."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras2.functional.devices import get_available_gpus
from bert4keras2.layers import Embedding, MaximumEntropyMarkovModel

pytestmark = pytest.mark.backend
FOLDER = Path(__file__).parent.parent / "golden" / "layers"
CASES = sorted(path.stem for path in FOLDER.glob("memm*.json"))


def array(x):
    return ops.convert_to_numpy(ops.stop_gradient(ops.convert_to_tensor(x)))


def built(labels: int = 3, **options) -> MaximumEntropyMarkovModel:
    layer = MaximumEntropyMarkovModel(**options)
    layer.build((None, None, labels))
    return layer


@pytest.mark.parametrize("case", CASES)
def test_golden(case):
    info = json.loads((FOLDER / f"{case}.json").read_text())
    with np.load(FOLDER / f"{case}.npz") as data:
        arrays = dict(data)
    layer = MaximumEntropyMarkovModel(**info["config"])
    x, y, mask = arrays["in/x"], arrays["in/y"], arrays.get("in/mask")
    layer.build(x.shape)
    names = [weight.path.rsplit("/", 1)[-1] for weight in layer.weights]
    assert sorted(f"weight/{name}" for name in names) == sorted(n for n in arrays if n.startswith("weight/"))
    for name, weight in zip(names, layer.weights, strict=True):
        weight.assign(arrays[f"weight/{name}"])
    y_pred = layer(x, mask=mask)
    one_hot = np.eye(x.shape[-1], dtype="float32")[y]
    for name, actual in {
        "y_pred": y_pred,
        "sparse_loss": layer.sparse_loss(y, y_pred),
        "dense_loss": layer.dense_loss(one_hot, y_pred),
        "forward_loss": layer.basic_loss(y, y_pred),
        "backward_loss": layer.basic_loss(y, y_pred, go_backwards=True),
        "sparse_accuracy": layer.sparse_accuracy(y, y_pred),
        "dense_accuracy": layer.dense_accuracy(one_hot, y_pred),
    }.items():
        np.testing.assert_allclose(array(actual), arrays[f"out/{name}"], atol=1e-5, rtol=0, err_msg=name)


@pytest.mark.parametrize("hidden_dim", [None, 2])
def test_weights_are_kept_divided(hidden_dim):
    layer = built(40, lr_multiplier=10, hidden_dim=hidden_dim)
    kept = [array(weight) for weight in layer.weights]
    expected = 10 * kept[0] if hidden_dim is None else 100 * kept[0] @ kept[1].T
    assert layer.trans.shape == (40, 40)
    np.testing.assert_allclose(array(layer.trans), expected, rtol=1e-4, atol=1e-6)
    assert np.abs(kept[0]).max() < 0.1 * (6 / 42) ** 0.5


@pytest.mark.skipif(
    keras.backend.backend() == "torch" and bool(get_available_gpus()), reason="a step on a GPU waits for no label"
)
def test_labels_of_wrong_shape_or_range():
    layer = built()
    y_pred = layer(np.zeros((2, 4, 3), "float32"))
    for check in (layer.sparse_loss, layer.sparse_accuracy):
        with pytest.raises(ValueError, match="label 5.*3 labels: 0 to 2"):
            check(np.full((2, 4), 5), y_pred)
        with pytest.raises(ValueError, match=r"\(2, 3\).*\(2, 4\)"):
            check(np.zeros((2, 3)), y_pred)
    with pytest.raises(ValueError, match="one-hot.*sparse_loss"):
        layer.dense_loss(np.zeros((2, 4)), y_pred)
    with pytest.raises(ValueError, match=r"batch, length, labels"):
        MaximumEntropyMarkovModel().build((None, 3))


def tagger(**options):
    """A model whose mask flows from its token ids, and its MEMM."""
    inputs = keras.Input((None,), dtype="int32")
    x = Embedding(10, 16, mask_zero=True, name="Embedding-Token")(inputs)
    layer = MaximumEntropyMarkovModel(name="memm", **options)
    return keras.Model(inputs, layer(keras.layers.Dense(3)(x))), layer


def data(rows: int = 64):
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 10, (rows, 9))
    labels = ids % 3
    padded = np.arange(9)[None] >= rng.integers(3, 10, rows)[:, None]
    ids[padded] = labels[padded] = 0
    return ids, labels, ~padded


@pytest.mark.parametrize("hidden_dim", [None, 2])
def test_padding_does_not_matter(hidden_dim):
    model, layer = tagger(hidden_dim=hidden_dim)
    ids, labels, mask = data(4)
    y_pred = model.predict(ids, verbose=0)
    assert (y_pred[~mask] == -np.inf).all() and np.isfinite(y_pred[mask]).all()
    other = np.where(mask, labels, 2)
    for function in (layer.sparse_loss, layer.sparse_accuracy):
        assert array(function(labels, y_pred)) == array(function(other, y_pred))
    # Rows weigh by their lengths.
    alone = [array(layer.sparse_loss(y[None, m], model(i[None, m]))) for i, y, m in zip(ids, labels, mask, strict=True)]
    np.testing.assert_allclose(
        array(layer.sparse_loss(labels, y_pred)), np.average(alone, weights=mask.sum(1)), rtol=1e-5
    )


def test_rows_of_padding_train_finitely():
    inputs = keras.Input((5,), dtype="int32")
    x = keras.layers.Embedding(10, 8, mask_zero=True)(inputs)
    layer = MaximumEntropyMarkovModel()
    model = keras.Model(inputs, layer(keras.layers.Dense(3)(x)))
    model.compile("sgd", loss=layer.sparse_loss, metrics=[layer.sparse_accuracy])
    ids = np.array([[0] * 5, [1, 2, 3, 0, 0]])
    for batch in (ids, ids[:1]):
        model.train_on_batch(batch, np.zeros(batch.shape, "int32"))
    assert all(np.isfinite(array(weight)).all() for weight in model.weights)


@pytest.mark.parametrize("hidden_dim", [None, 2])
def test_fit_learns_and_metrics_know_the_transitions(hidden_dim):
    """On JAX a metric in `fit` sees no weights but those that the loss left for it."""
    keras.utils.set_random_seed(1)
    model, layer = tagger(lr_multiplier=10, hidden_dim=hidden_dim)
    ids, labels, mask = data()
    model.compile(keras.optimizers.Adam(0.03), loss=layer.sparse_loss, metrics=[layer.sparse_accuracy])
    before = array(layer.trans)
    history = model.fit(ids, labels, batch_size=32, epochs=10, verbose=0).history
    assert set(history) == {"loss", "sparse_accuracy"}
    assert history["loss"][-1] < 0.3 * history["loss"][0]
    assert history["sparse_accuracy"][-1] > 0.95
    assert np.abs(array(layer.trans) - before).max() > 0.1
    # Transitions decide all: whoever looks at others gets another accuracy.
    first, *others = layer.weights
    table = 1000.0 * np.eye(3)[[1, 2, 0]]
    if hidden_dim is None:
        first.assign(table / 10)
    else:
        first.assign(table[:, :2])
        others[0].assign(np.eye(3)[:, :2])
    result = model.evaluate(ids, labels, batch_size=64, verbose=0, return_dict=True)
    y_pred = model.predict(ids, verbose=0)
    assert set(result) == {"loss", "sparse_accuracy"}
    np.testing.assert_allclose(result["sparse_accuracy"], array(layer.sparse_accuracy(labels, y_pred)), atol=1e-6)
    assert result["sparse_accuracy"] < 0.7


def test_saved_model(tmp_path):
    model, layer = tagger(lr_multiplier=7, hidden_dim=2)
    ids, labels, _ = data(8)
    model.compile("adam", loss=layer.sparse_loss)
    model.train_on_batch(ids, labels)
    model.save_weights(tmp_path / "model.weights.h5")
    other, _ = tagger(lr_multiplier=7, hidden_dim=2)
    other.load_weights(tmp_path / "model.weights.h5")
    model, layer = keras.Model(model.inputs, model.outputs), layer
    model.save(tmp_path / "model.keras")
    for again in (other, keras.models.load_model(tmp_path / "model.keras")):
        np.testing.assert_allclose(again.predict(ids, verbose=0), model.predict(ids, verbose=0), atol=1e-6)
        np.testing.assert_allclose(array(again.get_layer("memm").trans), array(layer.trans), rtol=1e-5, atol=1e-7)
        assert again.get_layer("memm").get_config() == layer.get_config()


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy):
    ids, labels, _ = data(8)
    keras.config.set_dtype_policy(policy)
    try:
        model, layer = tagger()
    finally:
        keras.config.set_dtype_policy("float32")
    y_pred = model(ids)
    assert keras.backend.standardize_dtype(y_pred.dtype) == "float32"
    assert keras.backend.standardize_dtype(layer.sparse_loss(labels, y_pred).dtype) == "float32"
    model.compile("adam", loss=layer.sparse_loss)
    assert np.isfinite(model.fit(ids, labels, verbose=0).history["loss"]).all()
