"""Files that are damaged or made to harm: every kind of them is refused by an error that names the file."""

from __future__ import annotations

import io
import json
import shutil
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bert4keras2.checkpoints import (
    CheckpointDamagedError,
    CheckpointError,
    CheckpointFormatError,
    convert,
    describe,
    open_checkpoint,
    write_safetensors,
    write_tensorflow,
)
from bert4keras2.checkpoints.encodings.crc32c import crc32c, masked
from bert4keras2.checkpoints.encodings.protobuf import bytes_field, number_field, to_varint
from bert4keras2.checkpoints.encodings.sstable import MAGIC, read_table, write_table

GOLDEN = Path(__file__).parent.parent / "golden" / "models"


def refused(path: Path, kind: type[Exception] = CheckpointError, words: str | None = None) -> None:
    """Read everything in a file: it has to be refused, quickly and without much memory."""
    started = time.monotonic()
    tracemalloc.start()
    with pytest.raises(kind, match=words) as caught, open_checkpoint(path) as reader:
        for name in reader.names():
            reader.read(name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(path) in str(caught.value) and len(str(caught.value)) < 2000
    assert time.monotonic() - started < 5 and peak < 200 * 2**20


# -- safetensors -------------------------------------------------------------------------------------------------------

ENTRY = '{"a":{"dtype":"F32","shape":%s,"data_offsets":%s}}'


@pytest.mark.parametrize(
    "header",
    [
        "[" * 100000 + "]" * 100000,
        '{"a":' * 5000 + "1" + "}" * 5000,
        ENTRY % ("[-2,-3]", "[0,24]"),
        ENTRY % ("[2.0,3.0]", "[0,24]"),
        ENTRY % ("[true,6]", "[0,24]"),
        ENTRY % ('["6"]', "[0,24]"),
        ENTRY % ("{}", "[0,24]"),
        ENTRY % ("null", "[0,24]"),
        ENTRY % ("[2,3]", "[0.0,24.0]"),
        ENTRY % ("[2,3]", "[24,0]"),
        ENTRY % ("[2,3]", "[-24,0]"),
        ENTRY % ("[2,3]", "[0,24,0]"),
        ENTRY % (json.dumps([1] * 69 + [6]), "[0,24]"),
        ENTRY % ("[0,9223372036854775808]", "[0,0]"),
        ENTRY % ("[0,1" + "0" * 400 + "]", "[0,0]"),
        ENTRY % ("[4294967296,4294967296]", "[0,24]"),
        (ENTRY % ("[6]", "[0,24]")).replace("F32", "float32"),  # NumPy's spelling is none of the format's
        (ENTRY % ("[6]", "[0,24]")).replace("F32", "<f4"),
        (ENTRY % ("[6]", "[0,24]")).replace('"F32"', "32"),
        '{"a":{"dtype":"F32","shape":[6],"data_offsets":[0,24]},"a":{"dtype":"I32","shape":[6],"data_offsets":[0,24]}}',
        '{"a":{"dtype":"F32","shape":[6],"data_offsets":[0,24]},"b":{"dtype":"F32","shape":[6],"data_offsets":[0,24]}}',
        '{"__metadata__":5,"a":{"dtype":"F32","shape":[6],"data_offsets":[0,24]}}',
        '{"a":[1,2]}',
    ],
)
def test_headers_of_safetensors_files(tmp_path: Path, header: str) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + np.arange(6, dtype="f4").tobytes())
    refused(path)


# -- TensorFlow --------------------------------------------------------------------------------------------------------


def pair(key: bytes, value: bytes, shared: int = 0) -> bytes:
    return to_varint(shared) + to_varint(len(key)) + to_varint(len(value)) + key + value


def table_of(block: bytes) -> bytes:
    """A table of one block of any bytes, with checksums that match."""
    table = bytearray()

    def add(content: bytes) -> bytes:
        place = to_varint(len(table)) + to_varint(len(content))
        table.extend(content + b"\0" + masked(crc32c(content + b"\0")).to_bytes(4, "little"))
        return place

    end = bytes(4) + (1).to_bytes(4, "little")
    place = add(block + end)
    footer = add(end) + add(pair(b"\xff", place) + end)
    return bytes(table) + footer.ljust(40, b"\0") + MAGIC


HEADER = pair(b"", number_field(1, 1) + bytes_field(3, number_field(1, 1)))


def shape(*sizes: int) -> bytes:
    return bytes_field(2, b"".join(bytes_field(2, number_field(1, size % 2**64)) for size in sizes))


BLOCKS: dict[str, bytes] = {
    "a number without an end": HEADER + b"\0\1" + b"\x80" * 1_000_000 + b"\1",
    "keys that repeat the one before": HEADER
    + pair(b"x" * 30000, b"")
    + b"".join(pair(b"a", b"", 30000 + k) for k in range(5000)),
    "keys that are not sorted": HEADER + pair(b"b", b"") + pair(b"a", b""),
    "more repeated than there is": HEADER + pair(b"a", b"", 77),
    "no data files": pair(b"", number_field(1, 0) + b"\x08\0"),
    "a thousand million data files": pair(b"", number_field(1, 10**9)),
    "terabytes": HEADER + pair(b"a", number_field(1, 1) + shape(2**40) + number_field(5, 2**42)),
    "a shape without measure": HEADER + pair(b"a", number_field(1, 1) + shape(2**62, 2**62) + number_field(5, 24)),
    "a negative shape": HEADER + pair(b"a", number_field(1, 1) + shape(-6) + number_field(5, 24)),
    "a thousand axes": HEADER + pair(b"a", number_field(1, 1) + shape(*[1] * 1000) + number_field(5, 4)),
    "another data file": HEADER + pair(b"a", number_field(1, 1) + shape(6) + number_field(3, 7) + number_field(5, 24)),
    "bytes before the file": HEADER
    + pair(b"a", number_field(1, 1) + shape(6) + number_field(4, 2**64 - 8) + number_field(5, 24)),
    "texts without measure": HEADER + pair(b"a", number_field(1, 7) + shape(2**40) + number_field(5, 24)),
    "a part that is nowhere": HEADER
    + pair(b"a", number_field(1, 1) + shape(6) + bytes_field(7, bytes_field(1, number_field(2, 99)))),
    "a field of an unknown kind": HEADER + pair(b"a", b"\x0b"),
    "a name that is no text": HEADER + pair(b"\xff\xfe", number_field(1, 1) + shape(6) + number_field(5, 24)),
}


@pytest.mark.parametrize("case", BLOCKS)
def test_indices_of_tensorflow_checkpoints(tmp_path: Path, case: str) -> None:
    """All of these have the right checksums; some have aborted the interpreter in TensorFlow's own reader."""
    (tmp_path / "m.ckpt.data-00000-of-00001").write_bytes(np.arange(6, dtype="f4").tobytes())
    (tmp_path / "m.ckpt.index").write_bytes(table_of(BLOCKS[case]))
    refused(tmp_path / "m.ckpt")


def test_descriptions_of_objects_that_go_round(tmp_path: Path) -> None:
    """An object that is part of itself, under names that grow."""
    for file in (GOLDEN / "bert_dropout_head").glob("best_model.weights.*"):
        shutil.copy(file, tmp_path / file.name)
    index = tmp_path / "best_model.weights.index"
    data = tmp_path / "best_model.weights.data-00000-of-00001"
    child = bytes_field(1, number_field(1, 1) + bytes_field(2, b"layer_with_weights-0" * 50))
    node = bytes_field(1, child * 50 + bytes_field(1, bytes_field(2, b"layer_with_weights-999999999999999999999")))
    graph = node * 60
    plain = len(graph).to_bytes(4, "little")
    head = masked(crc32c(plain)).to_bytes(4, "little")
    stored = to_varint(len(graph)) + head + graph
    entry = number_field(1, 7) + bytes_field(2, b"") + number_field(4, data.stat().st_size)
    entry += number_field(5, len(stored)) + b"\x35"
    entry += masked(crc32c(head + graph, crc32c(plain))).to_bytes(4, "little")
    pairs = {key: bytes(value) for key, value in read_table(index.read_bytes())}
    pairs[b"_CHECKPOINTABLE_OBJECT_GRAPH"] = entry
    index.write_bytes(write_table(sorted(pairs.items())))
    data.write_bytes(data.read_bytes() + stored)
    started = time.monotonic()
    with open_checkpoint(tmp_path / "best_model.weights") as reader:
        assert reader.layers() == []
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("size", [0, 1, 9, 300, 64 * 1024, 64 * 1024 + 5, 300_001, 2_000_003])
def test_checksums(size: int) -> None:
    """CRC-32C of one byte after the other, at sizes at which another way of computing it begins."""
    data = np.random.default_rng(size).integers(0, 256, size, "uint8")
    state = 0xFFFFFFFF
    table = [0] * 256
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table[byte] = value
    for byte in data.tolist():
        state = state >> 8 ^ table[(state ^ byte) & 255]
    assert crc32c(data) == crc32c(data.tobytes()) == state ^ 0xFFFFFFFF
    assert crc32c(data[size // 3 :], crc32c(data[: size // 3])) == crc32c(data)
    assert crc32c(b"123456789") == 0xE3069283  # the check value of the catalogue of CRC algorithms


# -- PyTorch -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, dict[str, np.ndarray]]:
    """A file of torch.save and what is in it."""
    torch = pytest.importorskip("torch")
    values = {"a": np.arange(5000.0), "b": np.ones((3, 4), "float32")}
    torch.save({name: torch.from_numpy(value) for name, value in values.items()}, tmp_path / "pytorch_model.bin")
    return tmp_path / "pytorch_model.bin", values


def packed_again(path: Path, change: Callable[[str, bytes], bytes] = lambda name, data: data, kind: int = 0) -> None:
    """Pack a zip archive anew."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, data in members.items():
            archive.writestr(name, change(name, data))


def test_archives_that_were_compressed_again(saved: Any) -> None:
    path, values = saved
    packed_again(path, kind=zipfile.ZIP_DEFLATED)
    with open_checkpoint(path) as reader:
        for name, value in values.items():
            np.testing.assert_array_equal(reader.read(name), value)
    packed_again(path, kind=zipfile.ZIP_BZIP2)
    refused(path, CheckpointFormatError, "compressed in a way")


def test_a_changed_byte_of_an_archive(saved: Any) -> None:
    path, values = saved
    data = bytearray(path.read_bytes())
    data[data.find(values["a"].tobytes()) + 1000] ^= 1
    path.write_bytes(data)
    refused(path, CheckpointDamagedError, "checksum does not match")


def test_archives_whose_members_overlap(saved: Any) -> None:
    """Members that share their bytes could be a thousand times as much as the file has."""
    path, _ = saved
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("archive/data.pkl", bytes(2000))
    content = whole.getvalue()
    at = content.find(b"PK\1\2")
    listed = content[at : content.find(b"PK\5\6")]
    names = [b"archive/data.%03d" % k for k in range(100)]
    directory = listed + b"".join(listed.replace(b"archive/data.pkl", name) for name in names)
    end = b"PK\5\6" + bytes(4) + (101).to_bytes(2, "little") * 2 + len(directory).to_bytes(4, "little")
    path.write_bytes(content[:at] + directory + end + at.to_bytes(4, "little") + bytes(2))
    refused(path, CheckpointDamagedError, "overlap")


def test_tensors_that_repeat_their_values(saved: Any, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "expanded.bin"
    torch.save({"a": torch.ones(1).expand(1000, 3), "b": torch.arange(6.0).view(2, 3).t()}, path)
    with open_checkpoint(path) as reader:
        assert reader.read("a").shape == (1000, 3) and reader.read("a").all()
        np.testing.assert_array_equal(reader.read("b"), [[0, 3], [1, 4], [2, 5]])
    torch.save({"a": torch.ones(1).expand(10**6, 10**6)}, path)
    refused(path, CheckpointDamagedError, "repeats 1 values")


def test_pickles_run_nothing(saved: Any) -> None:
    path, _ = saved
    marker = path.with_name("ran")
    code = b"\x80\x02cos\nsystem\nX" + len(f"touch {marker}").to_bytes(4, "little") + f"touch {marker}".encode()
    packed_again(path, lambda name, data: code + b"\x85R." if name.endswith("data.pkl") else data)
    refused(path, CheckpointFormatError, "os.system.*not loaded")
    assert not marker.exists()


# -- indices of shards, numbers of layers ------------------------------------------------------------------------------


@pytest.mark.parametrize("shard", ["model.safetensors.index.json", None, 5, [], "", "\0", ".", "../x", "/etc/passwd"])
def test_names_of_shards(tmp_path: Path, shard: Any) -> None:
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": {"a": shard}}))
    refused(path)


SMALL = {"hidden_size": 1, "num_attention_heads": 1, "vocab_size": 1, "intermediate_size": 1}


@pytest.mark.parametrize("number", [999999999, 99999, "9" * 5000])
def test_numbers_of_layers_in_names(tmp_path: Path, number: Any) -> None:
    names = ["bert.embeddings.word_embeddings.weight", "bert.embeddings.position_embeddings.weight"]
    names.append(f"bert.encoder.layer.{number}.attention.self.query.weight")
    write_safetensors(tmp_path / "model.safetensors", [(name, np.ones((1, 1), "f4")) for name in names])
    (tmp_path / "config.json").write_text(json.dumps({**SMALL, "num_hidden_layers": 1}))
    started = time.monotonic()
    assert describe(tmp_path).problems
    convert(tmp_path, tmp_path / "out", to="tensorflow", ignore_unknown=True)
    assert time.monotonic() - started < 5


def test_numbers_of_layers_in_a_configuration(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "model.safetensors", [("bert.embeddings.word_embeddings.weight", np.ones((1, 1)))])
    (tmp_path / "config.json").write_text(json.dumps({**SMALL, "num_hidden_layers": 999999999}))
    assert any("at most 1000" in line for line in describe(tmp_path).problems)
    with pytest.raises(CheckpointFormatError, match=r"config\.json.*num_hidden_layers.*at most 1000"):
        convert(tmp_path, tmp_path / "out")


# -- large files are replaced ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["huggingface", "tensorflow"])
def test_large_weights_are_replaced(tmp_path: Path, to: str) -> None:
    """More than 16 MB."""
    config = {**SMALL, "hidden_size": 256, "num_hidden_layers": 0, "model_type": "bert", "vocab_size": 17000}
    for number in (1, 2):
        source = tmp_path / f"source{number}"
        source.mkdir()
        (source / "config.json").write_text(json.dumps(config))
        values = np.full((17000, 256), number, "float32")
        write_safetensors(source / "model.safetensors", [("bert.embeddings.word_embeddings.weight", values)])
        convert(source, tmp_path / "out", to=to, force=True)
        with open_checkpoint(tmp_path / "out") as reader:
            assert {float(x) for name in reader.names() for x in np.unique(reader.read(name))} == {number}


def test_a_tensorflow_checkpoint_of_another_number_of_files_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "m.ckpt"
    for number, shard in ((1, 8), (2, None), (3, 8), (4, 8)):
        write_tensorflow(path, [(name, np.full(6, number, "f4")) for name in "abc"], shard_bytes=shard)
        with open_checkpoint(path) as reader:
            assert all(reader.read(name)[0] == number for name in "abc")
        assert len(list(tmp_path.iterdir())) == (2 if shard is None else 4)
