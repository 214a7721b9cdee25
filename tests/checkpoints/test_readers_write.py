"""Writing TensorFlow and safetensors files: exact values, bounded pieces, nothing half done."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from bert4keras2.checkpoints import CheckpointError, open_checkpoint, write_safetensors, write_tensorflow


def _variables() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 3.4e38], "float32")
    return {
        "odd/half": random.normal(size=(3, 1)).astype("float16"),
        "bert/word_embeddings": random.normal(size=(5, 4)).astype("float32"),
        "special": special,
        "brain": special.astype(ml_dtypes.bfloat16),
        "transposed": random.normal(size=(4, 3)).astype("float32").T,
        "double": random.normal(size=2),
        "global_step": np.array(12345678901, "int64"),
        "int32": np.array([[-(2**31), 2**31 - 1]], "int32"),
        "uint8": np.arange(3, dtype="uint8"),
        "flag": np.array([True, False]),
        "empty": np.zeros((0, 4), "float32"),
        "big_endian": np.arange(3, dtype=">f4"),
        "名字": np.ones(1, "float32"),
    }


def _assert_same_bits(value: np.ndarray, expected: np.ndarray) -> None:
    native = expected.astype(expected.dtype.newbyteorder("="))
    assert value.dtype == native.dtype and value.shape == native.shape
    assert value.tobytes() == native.tobytes()


WRITERS = {"tensorflow": write_tensorflow, "safetensors": write_safetensors}


@pytest.mark.parametrize("kind", WRITERS)
def test_every_type_comes_back_bit_for_bit(tmp_path: Path, kind: str) -> None:
    variables = _variables()
    path = WRITERS[kind](tmp_path / "new" / "x", iter(variables.items()))
    assert path == str(tmp_path / "new" / "x")
    with open_checkpoint(path) as reader:
        assert reader.format == kind and set(reader.names()) == set(variables)
        for name, expected in variables.items():
            _assert_same_bits(reader.read(name), expected)
            assert reader.dtype(name) == expected.dtype.name


def test_tensorflow_itself_reads_the_file(tmp_path: Path) -> None:
    import tensorflow as tf

    variables = _variables()
    write_tensorflow(tmp_path / "bert_model.ckpt.index", variables.items())
    assert sorted(os.listdir(tmp_path)) == ["bert_model.ckpt.data-00000-of-00001", "bert_model.ckpt.index"]
    reader = tf.train.load_checkpoint(str(tmp_path / "bert_model.ckpt"))
    assert set(reader.get_variable_to_shape_map()) == set(variables)
    for name, expected in variables.items():
        _assert_same_bits(np.asarray(reader.get_tensor(name)), expected)


def test_several_data_files_replace_an_older_checkpoint(tmp_path: Path) -> None:
    import tensorflow as tf

    prefix = tmp_path / "m.ckpt"
    variables = {f"v{i}": np.full((64, 4), i, "float32") for i in range(7)}  # 1 KiB each
    for limit, count in [(2**20, 1), (2048, 4), (10, 7)]:
        write_tensorflow(prefix, variables.items(), shard_bytes=limit)
        expected = [f"m.ckpt.data-{i:05d}-of-{count:05d}" for i in range(count)] + ["m.ckpt.index"]
        assert sorted(os.listdir(tmp_path)) == expected
        reader = tf.train.load_checkpoint(str(prefix))
        with open_checkpoint(prefix) as ours:
            for name, value in variables.items():
                np.testing.assert_array_equal(reader.get_tensor(name), value)
                np.testing.assert_array_equal(ours.read(name), value)


def test_safetensors_itself_and_torch_read_the_file(tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors")
    torch = pytest.importorskip("torch")
    variables = _variables()
    path = write_safetensors(tmp_path / "m.safetensors", variables.items())
    with library.safe_open(path, "pt") as file:
        assert set(file.keys()) == set(variables) and file.metadata() == {"format": "pt"}
        for name, expected in variables.items():
            tensor = file.get_tensor(name)
            assert tuple(tensor.shape) == expected.shape
            same = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            assert same == expected.astype(expected.dtype.newbyteorder("<")).tobytes()


def test_files_of_the_safetensors_library_are_read(tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.numpy")
    variables = {k: np.ascontiguousarray(v) for k, v in _variables().items() if k not in ("brain", "big_endian")}
    library.save_file(variables, tmp_path / "m.safetensors", metadata={"made": "here"})
    with open_checkpoint(tmp_path / "m.safetensors") as reader:
        assert reader.metadata == {"made": "here"}
        for name, expected in variables.items():
            _assert_same_bits(reader.read(name), expected)


def test_float8_is_written_and_read(tmp_path: Path) -> None:
    values = {name: np.arange(4).astype(getattr(ml_dtypes, name)) for name in ("float8_e4m3fn", "float8_e5m2")}
    path = write_safetensors(tmp_path / "m.safetensors", values.items(), metadata={})
    with open_checkpoint(path) as reader:
        assert reader.metadata == {}
        for name, expected in values.items():
            _assert_same_bits(reader.read(name), expected)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_failure_leaves_the_old_file_as_it_was(tmp_path: Path, kind: str) -> None:
    write = WRITERS[kind]
    path = write(tmp_path / "x", [("v", np.arange(3))])
    before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}

    def broken() -> Iterator[tuple[str, np.ndarray]]:
        yield "v", np.ones(5)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        write(path, broken())
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == before


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ([], "no variables"),
        ([("v", np.ones(1)), ("v", np.ones(1))], "'v'.*twice"),
        ([("", np.ones(1))], "name"),
        ([("v", np.array(["text"]))], "'v'.*(<U4|numeric)"),
        ([("v", np.array([None]))], "'v'.*(object|numeric)"),
    ],
)
@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_bad_variables_are_errors(tmp_path: Path, write: Callable, variables: list, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        write(tmp_path / "x", variables)
    assert str(tmp_path / "x") in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_safetensors_metadata_has_to_be_text(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="strings to strings"):
        write_safetensors(tmp_path / "x", [("v", np.ones(1))], metadata={"step": 3})
