"""ONNX files of library models: what Keras gives, in any batch and length; or an error, and no file."""

from __future__ import annotations

import sys

import keras
import numpy as np
import pytest

from bert4keras2.backend import keras as our_keras
from bert4keras2.exporting import OnnxModel, export_model, writing
from bert4keras2.exporting.onnx_convert import onnx_of
from bert4keras2.models import build_transformer_model

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("tf2onnx")
on_tensorflow = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow has the converters")

SIZES = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "hidden_act": "gelu",
    "initializer_range": 0.3,
}
SHAPES = [(1, 3), (2, 40), (5, 11)]
# The first two have what the others have too, but for their heads.
FAMILIES = ["nezha", "gau_alpha"]
FURTHER = ["bert", "roformer", "roformer_v2", "albert", "electra", "roberta", "ernie", "gpt", "gpt2", "mt5.1.1_encoder"]


def build(family: str, **options):
    """Return a tiny Keras model with weights that are no zeros."""
    keras.utils.set_random_seed(1)
    sizes = {**SIZES, "num_buckets": 32} if "t5" in family else SIZES
    model = build_transformer_model(sizes, model=family, **options)
    random = np.random.RandomState(0)
    for variable in model.trainable_weights:
        if "gamma" in variable.path or "beta" in variable.path or "bias" in variable.path:
            variable.assign(variable + 0.2 * random.standard_normal(variable.shape))
    return model


def inputs_of(model, batch: int, length: int, pad: int = 0) -> list[np.ndarray]:
    random = np.random.RandomState(length)
    found = []
    for tensor in model.inputs:
        ids = (
            random.randint(2, 50, (batch, length)) if "Token" in tensor.name else random.randint(0, 2, (batch, length))
        )
        if "Token" in tensor.name:
            ids[-1, length // 2 + 1 :] = pad
        found.append(ids.astype("int32"))
    return found


def compare(model, path, pad: int = 0) -> OnnxModel:
    """Compare a file with the model at several shapes."""
    exported = OnnxModel(path, threads=1)
    for batch, length in SHAPES:
        arrays = inputs_of(model, batch, length, pad)
        expected = model.predict_on_batch(arrays if len(arrays) > 1 else arrays[0])
        np.testing.assert_allclose(exported(arrays), expected, atol=2e-5)
    return exported


@on_tensorflow
@pytest.mark.parametrize("family", FAMILIES + [pytest.param(name, marks=pytest.mark.long) for name in FURTHER])
def test_families(family, tmp_path):
    model = build(family)
    model.export(tmp_path / "model.onnx", format="onnx", verbose=False)
    compare(model, tmp_path / "model.onnx", pad=1 if family == "roberta" else 0)


@on_tensorflow
def test_saved_models_of_a_trained_model(tmp_path):
    """tf.saved_model.save and model.export's default write what the model gives, after fit too; it trains on."""
    import tensorflow as tf

    model = build("roformer")
    inputs = inputs_of(model, 2, 5)
    model.compile("sgd", "mse")
    model.train_on_batch(inputs, np.zeros((2, 5, 32)))
    tf.saved_model.save(model, str(tmp_path / "saved"))
    model.export(tmp_path / "exported", verbose=False)
    expected = model.predict_on_batch(inputs)
    serve = tf.saved_model.load(str(tmp_path / "saved")).signatures["serving_default"]
    found = serve(inputs=tf.constant(inputs[0]), inputs_1=tf.constant(inputs[1]))
    np.testing.assert_allclose(next(iter(found.values())), expected, atol=2e-5)
    serve = tf.saved_model.load(str(tmp_path / "exported")).signatures["serving_default"]
    found = serve(Input_Token=tf.constant(inputs[0]), Input_Segment=tf.constant(inputs[1]))
    np.testing.assert_allclose(next(iter(found.values())), expected, atol=2e-5)
    model.train_on_batch(inputs, np.zeros((2, 5, 32)))


@on_tensorflow
def test_graph_is_one_of_large_operations():
    """Runtimes are fast where layer normalization, GELU and a Dense layer's product are one node each."""
    model = build("bert")
    found = onnx_of(model, ["states"])
    kinds = [node.op_type for node in found.graph.node]
    assert kinds.count("LayerNormalization") == 3 and kinds.count("Gelu") == 1 and "Erf" not in kinds
    assert kinds.count("MatMul") == 8 and kinds.count("Reshape") == 4  # heads are split and merged, nothing else
    dims = [[dim.dim_param or dim.dim_value for dim in v.type.tensor_type.shape.dim] for v in found.graph.input]
    assert dims == [["batch", "length"]] * 2
    assert [value.name for value in found.graph.input] == ["Input-Token", "Input-Segment"]
    assert {value.type.tensor_type.elem_type for value in found.graph.input} == {onnx.TensorProto.INT32}
    output = found.graph.output[0]
    assert output.name == "states"
    assert [dim.dim_param or dim.dim_value for dim in output.type.tensor_type.shape.dim] == ["batch", "length", 32]
    assert {node.op_type for node in onnx_of(model, ["states"], opset=17).graph.node} >= {"Erf", "LayerNormalization"}


@on_tensorflow
def test_a_wrong_file_is_not_written(tmp_path, monkeypatch):
    model = build("bert")

    def wrong(*args):
        found = onnx_of(*args)
        table = next(tensor for tensor in found.graph.initializer if list(tensor.dims) == [50, 32])
        array = onnx.numpy_helper.to_array(table).copy()
        array[:, 0] += 0.5
        table.raw_data = array.tobytes()
        return found

    monkeypatch.setattr(writing, "onnx_of", wrong)
    with pytest.raises(ValueError, match="differs by .* so nothing was written"):
        model.export(tmp_path / "model.onnx", format="onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.backend
def test_export_on_every_backend(tmp_path):
    """On JAX and PyTorch a process of TensorFlow writes the file."""
    inner = build("roformer")
    output = keras.layers.Dense(3, name="Scores")(inner.output[:, 0])
    model = our_keras.models.Model(inner.inputs, output)
    model.export(tmp_path / "model.onnx", format="onnx", verbose=False)
    assert compare(model, tmp_path / "model.onnx").outputs == ["Scores"]
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.backend
def test_what_cannot_be_exported(tmp_path, monkeypatch):
    class Twice(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    model = build("bert")
    if keras.backend.backend() != "tensorflow":
        twice = our_keras.models.Model(model.inputs, Twice()(model.output))
        with pytest.raises(ValueError, match=r"\(Twice\).*KERAS_BACKEND=tensorflow"):
            twice.export(tmp_path / "model.onnx", format="onnx")
    with pytest.raises(ValueError, match="there is no format 'onix': it is one of onnx, saved_model"):
        export_model(model, tmp_path / "model.onnx", "onix")
    with pytest.raises(ValueError, match="int8 is for onnx and litert, not for openvino"):
        export_model(model, tmp_path / "model.onnx", "openvino", int8=True)

    states = keras.Input((4,), name="x")
    alone = our_keras.Sequential([keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="no functional model"):
        alone.export(tmp_path / "model.onnx", format="onnx")
    half = our_keras.models.Model(states, keras.layers.Dense(2, dtype="mixed_bfloat16", name="Half")(states))
    with pytest.raises(ValueError, match="'Half' computes in bfloat16"):
        half.export(tmp_path / "model.onnx", format="onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r'pip install "bert4keras2\[export\]"'):
        OnnxModel(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
