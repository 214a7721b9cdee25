"""Weight files: Keras 2's and tf.keras' load, ours have any name, whole models round-trip."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras2.backend import Model
from bert4keras2.backend import keras as script_keras
from bert4keras2.models import build_transformer_model

pytestmark = pytest.mark.backend
FOLDER = Path(__file__).parent.parent / "golden" / "models"


def read(path):
    with np.load(path) as data:
        return {name: data[name] for name in data}


def case(name, **kwargs):
    """Return a golden case's model with random weights, its inputs, outputs and real positions."""
    folder = FOLDER / name
    info = json.loads((folder / "case.json").read_text())
    model = build_transformer_model(folder / "config.json", model=info["model"], **info["kwargs"], **kwargs)
    inputs = read(folder / "inputs.npz")
    return (
        model,
        [inputs[n] for n in info["inputs"]],
        read(folder / "outputs.npz")["output_0"],
        inputs["mask"].astype(bool),
    )


def classifier(model, number=""):
    x = model.get_layer("Transformer-1-FeedForward-Norm").output
    x = keras.layers.Lambda(lambda x: x[:, 0], output_shape=lambda s: (s[0], s[2]), name="CLS-token")(x)
    x = keras.layers.Dropout(0.1, name="CLS-dropout")(x)
    return Model(model.inputs, keras.layers.Dense(5, activation="softmax", name=f"dense{number}")(x))


@pytest.mark.parametrize("name", ["bert_with_mlm", "roformer_v2_mlm"])
def test_keras2_hdf5(name):
    model, inputs, expected, mask = case(name)
    model.load_weights(FOLDER / name / "model.weights")
    actual = ops.convert_to_numpy(model(inputs))
    np.testing.assert_allclose(actual[mask], expected[mask], atol=1e-5)


@pytest.mark.parametrize("file", ["model.h5", "best_model.weights"])
@pytest.mark.parametrize("number", ["", "_3"])
def test_fine_tuned_classifier(file, number):
    """The layer that Keras numbers by what was built before is found too."""
    model, inputs, expected, _ = case("bert_dropout_head")
    whole = classifier(model, number)
    whole.load_weights(FOLDER / "bert_dropout_head" / file)
    np.testing.assert_allclose(ops.convert_to_numpy(whole(inputs)), expected, atol=1e-5)


def test_classic_names_round_trip(tmp_path):
    model, inputs, *_ = case("bert_with_mlm")
    before = ops.convert_to_numpy(model(inputs))
    for name in ("best_model.weights", "m.weights.h5", "weights"):
        model.save_weights(tmp_path / name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best_model.weights", "m.weights.h5", "weights"]
    other, *_ = case("bert_with_mlm")
    assert np.abs(ops.convert_to_numpy(other(inputs)) - before).max() > 1e-4
    for name in ("best_model.weights", "m.weights.h5", "weights"):
        other, *_ = case("bert_with_mlm")
        other.load_weights(tmp_path / name)
        np.testing.assert_array_equal(ops.convert_to_numpy(other(inputs)), before)


def test_interrupted_save_keeps_the_old_file(tmp_path, monkeypatch):
    model, *_ = case("bert_with_mlm")
    path = tmp_path / "best_model.weights"
    path.write_bytes(b"old")
    monkeypatch.setattr(keras.Model, "save_weights", lambda self, name, **k: Path(name).write_bytes(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model.save_weights(path)
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_weight_file_errors(tmp_path):
    model, *_ = case("bert_with_mlm")
    with pytest.raises(FileNotFoundError, match="no weight file .*best.weights"):
        model.load_weights(tmp_path / "best.weights")
    with pytest.raises(FileNotFoundError, match="folder .* does not exist"):
        model.save_weights(tmp_path / "no" / "best.weights")
    model.save_weights(tmp_path / "a.weights")
    with pytest.raises(FileExistsError):
        model.save_weights(tmp_path / "a.weights", overwrite=False)
    small = build_transformer_model(FOLDER / "bert_with_mlm" / "config.json", with_mlm=True, hidden_size=24)
    with pytest.raises(ValueError, match=r"\[124, 32\] in the file, \[124, 24\] in the model"):
        small.load_weights(FOLDER / "bert_with_mlm" / "model.weights")
    deep = build_transformer_model(FOLDER / "bert_with_mlm" / "config.json", with_mlm=True, num_hidden_layers=3)
    with pytest.raises(ValueError, match="no weights for the layers Transformer-2-"):
        deep.load_weights(FOLDER / "bert_with_mlm" / "model.weights")
    with pytest.raises(ValueError, match="checkpoint_path"):
        model.load_weights(FOLDER / "bert_encoder" / "model.ckpt")


@pytest.mark.parametrize("name", ["bert_nsp_mlm", "roformer_sim", "roformer_v2_mlm", "bert_residual_attention"])
def test_keras_file_needs_no_custom_objects(name, tmp_path):
    folder = FOLDER / name
    info = json.loads((folder / "case.json").read_text())
    model = build_transformer_model(
        folder / "config.json", model=info["model"], application=info["application"], **info["kwargs"]
    )
    inputs = read(folder / "inputs.npz")
    arrays = [inputs[n] for n in info["inputs"]]
    x = keras.layers.Dense(3, kernel_initializer="he_normal")(model.outputs[-1])
    model = Model(model.inputs, [*model.outputs, x])
    model.save(tmp_path / "model.keras")
    loaded = script_keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, Model)
    for before, after in zip(model(arrays), loaded(arrays), strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(before), ops.convert_to_numpy(after))


def test_conditional_model_round_trip(tmp_path):
    condition = keras.Input((6,), name="Input-Condition")
    model = build_transformer_model(
        FOLDER / "bert_encoder" / "config.json",
        layer_norm_cond=condition,
        layer_norm_cond_hidden_size=4,
        layer_norm_cond_hidden_act="gelu",
        additional_input_layers=condition,
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert [t.name for t in loaded.inputs] == ["Input-Token", "Input-Segment", "Input-Condition"]


@pytest.mark.parametrize("name", ["test.model", "model.weights", "no_suffix", "model.keras"])
def test_whole_models_have_files_of_any_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = build_transformer_model(FOLDER / "bert_encoder" / "config.json")
    model.save(name)
    ids = np.array([[1, 2, 3]])
    expected = ops.convert_to_numpy(model([ids, 0 * ids]))
    loaded = script_keras.models.load_model(name)
    np.testing.assert_array_equal(ops.convert_to_numpy(loaded([ids, 0 * ids])), expected)
    assert [path.name for path in tmp_path.iterdir()] == [name]  # nothing partial is left
    if name == "test.model":
        with pytest.raises(FileNotFoundError, match="folder"):
            model.save(tmp_path / "no" / "folder.model")
        with pytest.raises(FileExistsError, match="overwrite"):
            model.save(name, overwrite=False)
