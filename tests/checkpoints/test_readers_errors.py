"""Damaged, incomplete and mistaken files: each gets an error that names the file and says what to do."""

from __future__ import annotations

import json
import re
import shutil
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from bert4keras2.checkpoints import (
    CheckpointDamagedError,
    CheckpointError,
    CheckpointFormatError,
    CheckpointNotFoundError,
    open_checkpoint,
    write_safetensors,
    write_tensorflow,
)
from bert4keras2.checkpoints.encodings import sstable

VALUES = [("a", np.arange(1000, dtype="float32")), ("b", np.ones((8, 8), "float16"))]


def _refused(path: Path, kind: type[CheckpointError], *words: str, named: str | None = None) -> str:
    """Open and read everything; the error has to be of this kind, name the file and hold the words."""
    with pytest.raises(kind) as caught, open_checkpoint(path) as reader:
        for name in reader.names():
            reader.read(name)
    message = str(caught.value)
    assert isinstance(caught.value, CheckpointError)
    assert (named or str(path)) in message
    for word in words:
        assert re.search(word, message), message
    return message


@pytest.fixture
def tf_prefix(tmp_path: Path) -> Path:
    """A TensorFlow checkpoint in one data file."""
    write_tensorflow(tmp_path / "model.ckpt", VALUES)
    return tmp_path / "model.ckpt"


def _cut(path: Path, size: int) -> None:
    with open(path, "r+b") as file:
        file.truncate(size)


def _flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x55
    path.write_bytes(data)


def test_a_missing_file_lists_what_is_there(tf_prefix: Path) -> None:
    folder = tf_prefix.parent
    (folder / "vocab.txt").touch()
    write_safetensors(folder / "other.safetensors", VALUES)
    message = _refused(folder / "bert_model.ckpt", CheckpointNotFoundError, r"bert_model\.ckpt\.index", "Pass one")
    assert message.index(repr(str(tf_prefix))) < message.index("other.safetensors") and "vocab.txt" not in message
    assert message.count("model.ckpt'") == 2  # the prefix is listed once, not each of its files
    _refused(folder / "nowhere" / "x.ckpt", CheckpointNotFoundError, "folder .* does not exist")
    for file in [*folder.glob("model*"), *folder.glob("other*")]:
        file.unlink()
    _refused(folder / "x.ckpt", CheckpointNotFoundError, r"no weights at all \('vocab\.txt'\)")
    assert issubclass(CheckpointNotFoundError, FileNotFoundError)


def test_index_without_data_and_data_without_index(tf_prefix: Path) -> None:
    data = Path(f"{tf_prefix}.data-00000-of-00001")
    kept = data.rename(tf_prefix.parent / "elsewhere")
    _refused(tf_prefix, CheckpointNotFoundError, r"model\.ckpt\.data-00000-of-00001' is missing", "incomplete")
    with open_checkpoint(tf_prefix, names_only=True) as reader:
        assert reader.names() == ["a", "b"] and reader.shape("b") == (8, 8)
        with pytest.raises(CheckpointDamagedError, match="missing from the data file"):
            reader.read("a")
    kept.rename(data)
    Path(f"{tf_prefix}.index").unlink()
    for path in (tf_prefix, data, Path(f"{tf_prefix}.index")):
        _refused(path, CheckpointNotFoundError, "is not. Download it again", named=str(tf_prefix))


def test_a_different_number_of_data_files(tf_prefix: Path) -> None:
    data = Path(f"{tf_prefix}.data-00000-of-00001")
    data.rename(f"{tf_prefix}.data-00000-of-00002")
    _refused(tf_prefix, CheckpointNotFoundError, "00000-of-00001", "00000-of-00002", "another number")
    write_tensorflow(tf_prefix, VALUES, shard_bytes=1)
    Path(f"{tf_prefix}.data-00001-of-00002").unlink()
    _refused(tf_prefix, CheckpointNotFoundError, "wants 2", "'model.ckpt.data-00001-of-00002' is missing", "incomplete")


def test_a_truncated_tensorflow_data_file(tf_prefix: Path) -> None:
    _cut(Path(f"{tf_prefix}.data-00000-of-00001"), 4127)
    _refused(tf_prefix, CheckpointDamagedError, "cut short: it has 4127 bytes, the index needs 4128", "again")


def test_a_changed_byte_of_a_tensorflow_file(tf_prefix: Path) -> None:
    _flip(Path(f"{tf_prefix}.data-00000-of-00001"), 100)
    _refused(tf_prefix, CheckpointDamagedError, "'a'", "checksum does not match", "damaged.*download it again")
    with open_checkpoint(tf_prefix) as reader:
        assert reader.read("b").sum() == 64  # the other variable is whole


@pytest.mark.parametrize("damage", ["half", "head", "tail", "nothing left"])
def test_a_damaged_tensorflow_index(tf_prefix: Path, damage: str) -> None:
    index = Path(f"{tf_prefix}.index")
    if damage == "half":
        _cut(index, index.stat().st_size // 2)
    elif damage == "nothing left":
        _cut(index, 0)
    else:
        _flip(index, 10 if damage == "head" else index.stat().st_size - 8)
    _refused(tf_prefix, CheckpointDamagedError, "[Dd]ownload it again")


def test_a_size_in_a_damaged_index_is_not_believed(tf_prefix: Path) -> None:
    index = Path(f"{tf_prefix}.index")
    data = index.read_bytes()
    size = b"\x28\xa0\x1f"  # field 5, the 4000 bytes of 'a'
    assert data.count(size) == 1
    index.write_bytes(data.replace(size, b"\x28\xa0\x7f"))
    message = _refused(tf_prefix, CheckpointDamagedError, "index .* is damaged", "checksum does not match")
    assert "cut short" not in message


def test_snappy_blocks_of_an_index() -> None:
    # length 16; literal 'ab'; 9 bytes from 2 before (short form); literal 'cdef'; 1 byte from 4 before (long form)
    packed = bytes([16, 4]) + b"ab" + bytes([(5 << 2) | 1, 2, 12]) + b"cdef" + bytes([2, 4, 0])
    assert sstable._unsnappy(packed) == b"ab" + b"ababababa" + b"cdef" + b"c"
    assert sstable._unsnappy(bytes([70, 60 << 2, 69]) + bytes(range(70))) == bytes(range(70))
    for wrong in (b"\x02\x00a", b"\x04\x00a\x01\x02", b"\x05\x00"):
        with pytest.raises(ValueError, match="wrong length|repetition"):
            sstable._unsnappy(wrong)


@pytest.mark.parametrize(
    ("size", "words"), [(3, "cut short"), (20, "header alone"), (300, "cut short: it has 300 bytes.*demands")]
)
def test_a_truncated_safetensors_file(tmp_path: Path, size: int, words: str) -> None:
    path = Path(write_safetensors(tmp_path / "model.safetensors", VALUES))
    _cut(path, size)
    _refused(path, CheckpointDamagedError, words, "Download it again")


def test_inconsistent_safetensors_files(tmp_path: Path) -> None:
    path = Path(write_safetensors(tmp_path / "model.safetensors", VALUES))
    good = path.read_bytes()
    path.write_bytes(good + b"more")
    _refused(path, CheckpointDamagedError, "too long")
    path.write_bytes(good.replace(b"[1000]", b"[1001]"))
    _refused(path, CheckpointDamagedError, "inconsistent at 'a'")
    path.write_bytes(good.replace(b'"a":{', b'"a":X'))
    _refused(path, CheckpointDamagedError, "header .* not a JSON file")
    path.write_bytes(good.replace(b'"dtype"', b'"dtypo"'))
    _refused(path, CheckpointDamagedError, "header .* damaged")
    path.write_bytes(good.replace(b"[0,4000]", b"[9,4000]"))
    _refused(path, CheckpointDamagedError, "inconsistent at 'a'")
    path.write_bytes(good.replace(b"[0,4000]", b"[0,null]"))
    _refused(path, CheckpointDamagedError, "header .* damaged")
    path.write_bytes(good.replace(b'"F16"', b'"X99"'))
    _refused(path, CheckpointFormatError, "'b'.*X99.*not supported")


def test_a_truncated_hdf5_file(golden: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.weights"
    shutil.copy(golden / "models/bert_with_mlm/model.weights", path)
    _cut(path, path.stat().st_size // 2)
    _refused(path, CheckpointDamagedError, "cut short", "again")
    _cut(path, 40)
    _refused(path, CheckpointDamagedError, "again")


def test_an_hdf5_file_that_lacks_what_it_lists(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"dense"]
        file.create_group("dense").attrs["weight_names"] = [b"dense/kernel:0"]
    _refused(path, CheckpointDamagedError, "'dense/dense/kernel:0'", "[Dd]ownload or save it again")


def test_hdf5_links_to_other_files_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = np.ones(3)
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"dense"]
        file.create_group("dense").attrs["weight_names"] = [b"kernel:0"]
        file["dense/kernel:0"] = h5py.ExternalLink("secret.h5", "/x")
    _refused(path, CheckpointFormatError, "'dense/kernel:0'.*refers to another file")


def test_hdf5_files_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file["table"] = np.ones(3)
    _refused(path, CheckpointFormatError, "no 'layer_names'", "'table'", "save_weights")


def test_keras3_files_name_the_method_that_loads_them(tmp_path: Path) -> None:
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    _refused(tmp_path / "m.keras", CheckpointFormatError, r"keras\.models\.load_model\('.*m\.keras'\)")
    _refused(tmp_path / "m.weights.h5", CheckpointFormatError, r"model\.load_weights\('.*m\.weights\.h5'\)")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_torch_file(tmp_path: Path, zipped: bool) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "pytorch_model.bin"
    torch.save({"a": torch.ones(5000)}, path, _use_new_zipfile_serialization=zipped)
    _cut(path, path.stat().st_size // 2)
    _refused(path, CheckpointDamagedError, "cut short", "[Dd]ownload it again")


class Custom:
    """Something that is not a tensor."""


def test_torch_files_that_hold_other_things(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "model.bin"
    torch.save({"a": Custom()}, path)
    _refused(path, CheckpointFormatError, "dict of other things", r"'a': .*Custom", "could run code")
    torch.save([1, 2], path)
    _refused(path, CheckpointFormatError, "list, not a dictionary of tensors")
    torch.save({"a": torch.ones(3).to_sparse()}, path)
    _refused(path, CheckpointFormatError, "'a'.*sparse")


@pytest.mark.parametrize("zipped", [True, False])
def test_neither_torch_nor_tensorflow_is_needed(
    tmp_path: Path, tf_prefix: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    torch = pytest.importorskip("torch")
    tensors = {name: torch.from_numpy(value) for name, value in VALUES}
    torch.save(tensors, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    for name in ("torch", "tensorflow"):
        monkeypatch.setitem(sys.modules, name, None)
    for path in (tmp_path / "pytorch_model.bin", tf_prefix):
        with open_checkpoint(path) as reader:
            for name, value in VALUES:
                np.testing.assert_array_equal(reader.read(name), value)
    write_tensorflow(tmp_path / "new.ckpt", VALUES)


def test_sharded_files_that_do_not_fit(tmp_path: Path) -> None:
    index = tmp_path / "model.safetensors.index.json"
    write_safetensors(tmp_path / "1.safetensors", VALUES)
    index.write_text(json.dumps({"weight_map": {"a": "1.safetensors", "c": "2.safetensors"}}))
    _refused(index, CheckpointNotFoundError, "1 of its 2 files are missing", r"2\.safetensors", "Download")
    index.write_text(json.dumps({"weight_map": {"a": "1.safetensors", "c": "1.safetensors"}}))
    _refused(index, CheckpointDamagedError, "'c' is in '1.safetensors', but it is not")
    index.write_text(json.dumps({"weight_map": {"a": "../1.safetensors"}}))
    _refused(index, CheckpointFormatError, "outside of its folder")
    index.write_text('{"weight_map": ')
    _refused(index, CheckpointDamagedError, "cannot be parsed")


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 411529776\n"


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (LFS, CheckpointFormatError, "git lfs pull"),
        (b"<!DOCTYPE html><html>", CheckpointFormatError, "web page.*Download the file itself"),
        (b"\n <HTML lang='en'>", CheckpointFormatError, "web page"),
        (b"<?xml version='1.0'?><Error>AccessDenied</Error>", CheckpointFormatError, "web page"),
        (b"", CheckpointDamagedError, "empty"),
        (b"no weights at all", CheckpointFormatError, "no known format.*safetensors"),
        (b"\x80\x04\x95pickle", CheckpointFormatError, "pickle.*run code"),
        (b"GGUF\x03", CheckpointFormatError, "GGUF"),
        (b"\x1f\x8b\x08compressed", CheckpointFormatError, "Unpack"),
        (b'{"hidden_size": 768}', CheckpointFormatError, "JSON.*configuration"),
        (b'model_checkpoint_path: "m.ckpt-5"\n', CheckpointFormatError, "Pass '.*m.ckpt-5'"),
        (b"PK\x03\x04 and then nothing", CheckpointDamagedError, "cut short"),
    ],
)
def test_files_that_are_something_else(tmp_path: Path, content: bytes, kind: type, words: str) -> None:
    for name in ("bert_model.ckpt", "pytorch_model.bin"):
        (tmp_path / name).write_bytes(content)
        _refused(tmp_path / name, kind, words)


@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize(("content", "words"), [(LFS, "git lfs pull"), (b"<html>", "web page")])
def test_pointers_and_pages_in_a_tensorflow_checkpoint(tf_prefix: Path, part: str, content: bytes, words: str) -> None:
    file = Path(f"{tf_prefix}.{part}")
    file.write_bytes(content)
    _refused(tf_prefix, CheckpointFormatError, words, named=str(file))


def test_zip_archives_have_to_be_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "chinese_L-12.zip", "w") as archive:
        archive.writestr("bert_model.ckpt.index", b"x")
    _refused(tmp_path / "chinese_L-12.zip", CheckpointFormatError, r"bert_model\.ckpt\.index", "Unpack")


def test_odd_characters_in_paths(tmp_path: Path) -> None:
    folder = tmp_path / "模型 (v1) #"
    write_tensorflow(folder / "m %d.ckpt", VALUES, shard_bytes=1)
    with open_checkpoint(folder / "m %d.ckpt") as reader:
        assert reader.read("a").sum() == 499500
    # These are patterns to TensorFlow, which finds nothing under them.
    patterns = tmp_path / "m[1] *?"
    write_tensorflow(patterns / "m %d.ckpt", VALUES, shard_bytes=1)
    write_tensorflow(patterns / "m %d.ckpt", VALUES[:1])
    assert sorted(path.name for path in patterns.iterdir()) == ["m %d.ckpt.data-00000-of-00001", "m %d.ckpt.index"]
    with open_checkpoint(patterns / "m %d.ckpt") as reader:
        assert reader.read("a").sum() == 499500
    for file in patterns.glob("*.index"):
        file.unlink()
    _refused(patterns / "m %d.ckpt", CheckpointNotFoundError, "incomplete")
    write_safetensors(patterns / "m.safetensors", VALUES)
    assert open_checkpoint(patterns / "m.safetensors").format == "safetensors"
