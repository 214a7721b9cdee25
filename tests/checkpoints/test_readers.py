"""Reading checkpoints of every format, and what all readers have in common."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from bert4keras2.checkpoints import AmbiguousCheckpointError, MissingVariableError, open_checkpoint, write_safetensors

FILES = {
    "bert_encoder/model.ckpt": ("tensorflow", 58, "bert/embeddings/word_embeddings"),
    "bert_with_mlm/model.weights": ("keras2_hdf5", 42, "Embedding-Token/Embedding-Token/embeddings:0"),
    "bert_dropout_head/model.h5": ("keras2_hdf5", 39, "Embedding-Token/Embedding-Token/embeddings:0"),
    "bert_dropout_head/best_model.weights": ("tensorflow_objects", 39, "layer_with_weights-0/embeddings"),
    "roformer_v2_mlm/model.weights": ("keras2_hdf5", 20, "Embedding-Token/Embedding-Token/embeddings:0"),
}


@pytest.mark.parametrize("file", FILES)
def test_golden_files_are_recognised_and_read(golden: Path, file: str) -> None:
    kind, count, embeddings = FILES[file]
    with open_checkpoint(golden / "models" / file) as reader:
        assert reader.format == kind
        assert len(reader.names()) == len(set(reader.names())) == count
        assert embeddings in reader and "no/such/name" not in reader and 3 not in reader
        for name in reader.names():
            value = reader.read(name)
            assert type(value) is np.ndarray
            assert value.shape == reader.shape(name) and value.dtype.name == reader.dtype(name)
        assert reader.shape(embeddings)[1] == 32 and reader.dtype(embeddings) == "float32"
        first = reader.read(embeddings)
        first[:] = 0  # the caller owns what it gets
        assert np.abs(reader.read(embeddings)).max() > 0


def test_the_same_weights_are_read_from_three_formats(golden: Path) -> None:
    models = golden / "models"
    pairs = [
        ("bert/embeddings/word_embeddings", "Embedding-Token/embeddings"),
        ("bert/embeddings/LayerNorm/gamma", "Embedding-Norm/gamma"),
        ("bert/encoder/layer_0/attention/self/query/kernel", "Transformer-0-MultiHeadSelfAttention/dense/kernel"),
        ("bert/encoder/layer_1/intermediate/dense/bias", "Transformer-1-FeedForward/dense/bias"),
        ("bert/encoder/layer_1/output/dense/kernel", "Transformer-1-FeedForward/dense_1/kernel"),
    ]
    with (
        open_checkpoint(models / "bert_encoder/model.ckpt") as names,
        open_checkpoint(models / "bert_dropout_head/model.h5") as hdf5,
        open_checkpoint(models / "bert_dropout_head/best_model.weights") as objects,
    ):
        by_full_name = {full: name for name, full in objects.full_names().items()}
        for tf_name, keras_name in pairs:
            expected = names.read(tf_name)
            np.testing.assert_array_equal(hdf5.read(keras_name + ":0"), expected)
            np.testing.assert_array_equal(objects.read(by_full_name[keras_name]), expected)
        head = np.load(models / "bert_dropout_head/head_weights.npz")
        kernel = next(head[key] for key in head.files if key.endswith("kernel"))
        np.testing.assert_array_equal(hdf5.read("dense/kernel:0"), kernel)
        np.testing.assert_array_equal(objects.read(by_full_name["dense/kernel"]), kernel)


def test_layers_of_an_object_based_checkpoint(golden: Path) -> None:
    with open_checkpoint(golden / "models/bert_dropout_head/best_model.weights") as reader:
        layers = reader.layers()
        assert [key for key, _ in layers] == [f"layer_with_weights-{i}" for i in range(13)]
        attributes = dict(layers)["layer_with_weights-4"]
        assert {path for path, _ in attributes} == {
            f"{x}_dense/{kind}" for x in "qkvo" for kind in ("kernel", "bias")
        }  # fmt: skip
        assert sum(len(variables) for _, variables in layers) == len(reader.names())
        for _, variables in layers:
            assert all(name in reader for _, name in variables)
        names = reader.full_names()
        assert names["layer_with_weights-4/k_dense/kernel"] == "Transformer-0-MultiHeadSelfAttention/dense_1/kernel"
        raw = "layer_with_weights-4/k_dense/kernel/.ATTRIBUTES/VARIABLE_VALUE"
        np.testing.assert_array_equal(reader.read(raw), reader.read("layer_with_weights-4/k_dense/kernel"))


def test_layers_of_nested_and_tied_objects(tmp_path: Path) -> None:
    import tensorflow as tf

    def node(**children: object) -> tf.Module:
        module = tf.Module()
        for name, child in children.items():
            setattr(module, name, child)
        return module

    shared = tf.Variable([1.0, 2.0], name="first/kernel")
    layers = {f"layer_with_weights-{i}": node(kernel=tf.Variable(float(i))) for i in range(11, 1, -1)}
    layers["layer_with_weights-0"] = node(kernel=shared)
    layers["layer_with_weights-1"] = node(inner=node(bias=tf.Variable(5.0)), owner=node(kernel=shared))
    checkpoint = tf.train.Checkpoint(optimizer=node(m=tf.Variable(0.0)), **layers)
    checkpoint.write(str(tmp_path / "best_model.weights"))
    with open_checkpoint(tmp_path / "best_model.weights") as reader:
        found = reader.layers()
        assert [key for key, _ in found] == [f"layer_with_weights-{i}" for i in range(12)]
        tied = [("inner/bias", "layer_with_weights-1/inner/bias"), ("owner/kernel", "layer_with_weights-0/kernel")]
        assert sorted(found[1][1]) == tied
        assert [float(reader.read(variables[0][1])) for _, variables in found[2:]] == list(range(2, 12))
        assert reader.read("layer_with_weights-0/kernel").tolist() == [1.0, 2.0]
        assert "optimizer/m" in reader and all(key != "optimizer" for key, _ in found)


def test_layers_of_a_keras2_file_keep_its_order(golden: Path) -> None:
    path = golden / "models/bert_with_mlm/model.weights"
    with open_checkpoint(path) as reader, h5py.File(path) as file:
        layers = reader.layers()
        order = [name for name in file.attrs["layer_names"] if len(file[name].attrs["weight_names"])]
        assert [name for name, _ in layers] == order
        assert dict(layers)["Embedding-Norm"] == [f"Embedding-Norm/Embedding-Norm/{x}:0" for x in ("beta", "gamma")]
        assert reader.keras_version
        assert [name for _, names in layers for name in names] == reader.names()


def _keras2_layout(group: h5py.Group, layers: dict[str, dict[str, np.ndarray]], split: bool = False) -> None:
    names = [name.encode() for name in layers]
    if split:
        group.attrs["layer_names0"], group.attrs["layer_names1"] = names[:1], names[1:]
    else:
        group.attrs["layer_names"] = names
    for layer, weights in layers.items():
        inner = group.create_group(layer)
        inner.attrs["weight_names"] = [name.encode() for name in weights]
        for name, value in weights.items():
            inner[name] = value


@pytest.mark.parametrize("split", [False, True])
def test_keras2_whole_model_files_and_split_attributes(tmp_path: Path, split: bool) -> None:
    layers = {
        "a": {"a/kernel:0": np.ones((2, 3), "float16"), "shared:0": np.zeros(1, "float32")},
        "b": {"shared:0": np.float64(3)},
    }
    with h5py.File(tmp_path / "x.bin", "w") as file:
        _keras2_layout(file.create_group("model_weights"), layers, split)
        file.create_group("optimizer_weights")
    with open_checkpoint(tmp_path / "x.bin") as reader:
        assert reader.layers() == [("a", ["a/a/kernel:0", "a/shared:0"]), ("b", ["b/shared:0"])]
        assert reader.dtype("a/kernel:0") == "float16"
        assert reader.shape("b/shared:0") == () and reader.read("b/shared:0") == 3
        assert "shared:0" not in reader  # two layers have it
        with pytest.raises(MissingVariableError):
            reader.read("shared:0")


@pytest.mark.parametrize("given", ["model.ckpt", "model.ckpt.index", "model.ckpt.data-00000-of-00001"])
def test_any_file_of_a_tensorflow_checkpoint_names_it(golden: Path, given: str) -> None:
    with open_checkpoint(str(golden / "models/bert_encoder" / given)) as reader:
        assert reader.path.endswith("bert_encoder/model.ckpt") and len(reader) == 58


def test_content_decides_and_not_the_extension(golden: Path, tmp_path: Path) -> None:
    write_safetensors(tmp_path / "x.bin", [("v", np.arange(3))])
    shutil.copy(golden / "models/bert_with_mlm/model.weights", tmp_path / "x.ckpt")
    assert open_checkpoint(tmp_path / "x.bin").format == "safetensors"
    assert open_checkpoint(tmp_path / "x.ckpt").format == "keras2_hdf5"


def test_a_folder_is_opened_when_it_holds_one_checkpoint(golden: Path, tmp_path: Path) -> None:
    with open_checkpoint(golden / "models/bert_encoder") as reader:
        assert reader.format == "tensorflow"
    for name in ("a.h5", "b.h5"):
        shutil.copy(golden / "models/bert_dropout_head/model.h5", tmp_path / name)
    with pytest.raises(AmbiguousCheckpointError, match=r"a\.h5.*b\.h5.*Pass the path"):
        open_checkpoint(tmp_path)


def test_tensorflow_v1_files_and_partitioned_variables(tmp_path: Path) -> None:
    import tensorflow as tf

    value = np.arange(8, dtype="float32").reshape(4, 2)
    tf.raw_ops.Save(filename=str(tmp_path / "v1.ckpt"), tensor_names=["v"], data=[tf.constant(value)])
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "parts.ckpt"),
        tensor_names=["v", "v"],
        shape_and_slices=["4 2 0,2:-", "4 2 2,2:-"],
        tensors=[tf.constant(value[:2]), tf.constant(value[2:])],
    )
    for name in ("v1.ckpt", "parts.ckpt"):
        with open_checkpoint(tmp_path / name) as reader:
            assert reader.names() == ["v"] and reader.shape("v") == (4, 2)
            np.testing.assert_array_equal(reader.read("v"), value)


def test_an_absent_name_lists_the_closest(golden: Path) -> None:
    with open_checkpoint(golden / "models/bert_encoder/model.ckpt") as reader:
        for ask in (reader.read, reader.shape, reader.dtype):
            with pytest.raises(MissingVariableError, match="'bert/embeddings/word_embeddings'") as caught:
                ask("bert/embeddings/word_embedding")
        assert "model.ckpt" in str(caught.value) and isinstance(caught.value, KeyError)
        with pytest.raises(MissingVariableError, match="58 names begin with"):
            reader.read("????")


@pytest.mark.parametrize("file", FILES)
def test_a_closed_reader_keeps_its_names_only(golden: Path, file: str) -> None:
    reader = open_checkpoint(golden / "models" / file)
    name = reader.names()[0]
    reader.close()
    reader.close()
    assert name in reader and reader.shape(name)
    with pytest.raises(ValueError, match="closed"):
        reader.read(name)


def test_torch_files(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    import ml_dtypes

    state = {
        "w": torch.arange(6.0).reshape(2, 3).T,
        "half": torch.ones(3, dtype=torch.bfloat16) * 1.5,
        "n": torch.tensor(7),
        "tied": torch.nn.Parameter(torch.ones(2, 2)),
    }
    torch.save(state, tmp_path / "new.bin")
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "wrapped.pt")
    torch.save(state, tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    for name in ("new.bin", "wrapped.pt", "old.bin"):
        with open_checkpoint(tmp_path / name) as reader:
            assert reader.format == "torch" and reader.names() == list(state)
            np.testing.assert_array_equal(reader.read("w"), state["w"].numpy())
            assert reader.dtype("half") == "bfloat16" and reader.read("half").dtype == ml_dtypes.bfloat16
            assert reader.read("half").astype("float32").tolist() == [1.5] * 3
            assert reader.shape("n") == () and reader.read("n") == 7
            kept = reader.read("tied")
        kept += 1  # still valid and writable after closing
        assert kept.sum() == 8


@pytest.mark.parametrize("kind", ["safetensors", "torch"])
def test_sharded_files(tmp_path: Path, kind: str) -> None:
    parts = {"b": {"x": np.ones(2, "float32")}, "a": {"y": np.zeros((2, 2), "float16"), "z": np.arange(3)}}
    weight_map = {}
    for part, values in parts.items():
        if kind == "torch":
            torch = pytest.importorskip("torch")
            torch.save({name: torch.from_numpy(value) for name, value in values.items()}, tmp_path / f"{part}.bin")
        else:
            write_safetensors(tmp_path / f"{part}.bin", values.items())
        weight_map |= dict.fromkeys(values, f"{part}.bin")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    with open_checkpoint(index) as reader:
        assert reader.format == kind
        assert set(reader.names()) == {"x", "y", "z"} and reader.shape("y") == (2, 2) and reader.dtype("y") == "float16"
        for values in parts.values():
            for name, value in values.items():
                np.testing.assert_array_equal(reader.read(name), value)


def test_heavy_packages_are_imported_only_when_needed(golden: Path, tmp_path: Path) -> None:
    write_safetensors(tmp_path / "x.safetensors", [("v", np.arange(3))])
    code = f"""
import sys
from bert4keras2.checkpoints import folder, readers
import bert4keras2.checkpoints
folder.find_checkpoint({str(golden / "models/bert_encoder")!r})
with readers.open_checkpoint({str(tmp_path / "x.safetensors")!r}) as reader:
    assert reader.read("v").tolist() == [0, 1, 2]
with readers.open_checkpoint({str(golden / "models/bert_with_mlm/model.weights")!r}) as reader:
    assert len(reader) == 42
print([name for name in ("tensorflow", "torch", "jax", "keras") if name in sys.modules])
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
