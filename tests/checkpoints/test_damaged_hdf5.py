"""The library's own reader of HDF5: what h5py writes by default is read, anything else is an error and never a hang."""

from __future__ import annotations

import contextlib
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from bert4keras2.checkpoints import CheckpointDamagedError, CheckpointError, open_checkpoint
from bert4keras2.checkpoints.encodings.hdf5 import Dataset, Group, Hdf5File
from bert4keras2.checkpoints.formats.keras3 import check_hdf5

GOLDEN = Path(__file__).parent.parent / "golden" / "models"
VALUES = np.arange(60.0).reshape(5, 12)


@pytest.mark.parametrize("file", ["bert_with_mlm/model.weights", "bert_dropout_head/model.h5"])
def test_golden_files_as_h5py_reads_them(file: str) -> None:
    with h5py.File(GOLDEN / file) as theirs, open_checkpoint(GOLDEN / file) as mine:
        root = theirs.get("model_weights", theirs)
        for name in mine.names():
            np.testing.assert_array_equal(mine.read(name), root[name][()])
    check_hdf5(str(GOLDEN / file))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunks": (2, 5)},
        {"chunks": (2, 5), "compression": "gzip", "shuffle": True, "fletcher32": True},
        {"chunks": (5, 12), "compression": 9},
        {"dtype": ">f8"},
        {"dtype": "float16"},
        {"dtype": ">i4"},
        {"dtype": "uint8"},
        {"dtype": "bool"},
        {"dtype": "bool", "chunks": (1, 1)},
    ],
)
def test_ways_of_storing(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a/b/c", data=VALUES > 3 if options.get("dtype") == "bool" else VALUES, **options)
        file["scalar"], file["none"] = np.float32(3), np.zeros((0, 3))
    with h5py.File(path) as theirs, contextlib.closing(Hdf5File(str(path))) as mine:
        for name in ("a/b/c", "scalar", "none"):
            found, wanted = mine.root[name].read(), theirs[name][()]
            assert found.dtype == wanted.dtype.newbyteorder("=") and found.shape == wanted.shape
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(("count", "ending"), [(700, ""), (3, "_爱"), (9, "_爱"), (60, "_爱"), (4000, "_爱")])
def test_many_groups_long_lists_and_texts(tmp_path: Path, count: int, ending: str) -> None:
    """Tables of several levels, and what Chinese names make of them; names in attributes of fixed and of any length."""
    path = tmp_path / "x.h5"
    names = [f"layer_{number}{ending}" for number in range(count)]
    with h5py.File(path, "w") as file:
        for name in names:
            file.create_group(name)["w"] = np.ones(2)
        for number in range(40):
            file.attrs[f"n{number}"] = [f"text {number}" * 20, "b"]
        file.attrs["fixed"] = np.array([b"ab", b"abc"])
        file.attrs["one"], file.attrs["numbers"] = "text", np.arange(3)
        file.attrs["nothing"] = h5py.Empty("S5")
    with contextlib.closing(Hdf5File(str(path))) as mine:
        assert sorted(mine.root.links) == sorted(names) and mine.walk() == 1 + 2 * len(names)
        found = mine.root.attributes
        assert found["n39"] == ["text 39" * 20, "b"] and found["fixed"] == ["ab", "abc"] and found["one"] == "text"
        assert found["numbers"].tolist() == [0, 1, 2] and found["nothing"] is None
        last = names[-1]
        assert isinstance(mine.root[last], Group) and isinstance(mine.root[f"{last}/w"], Dataset)


def classic(path: Path, put: Callable[[Any], None], names: Any = (b"dense",), weights: Any = (b"k:0",)) -> None:
    """Write a weights file of Keras 2 with one layer."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = names if isinstance(names, int | h5py.Empty) else list(names)
        group = file.create_group("dense")
        group.attrs["weight_names"] = weights if isinstance(weights, int) else list(weights)
        put(group)


def ones(group: Any) -> None:
    group["k:0"] = np.ones(3)


def virtual(group: Any) -> None:
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource("secret.h5", "x", (3,))
    group.create_virtual_dataset("k:0", layout)


CASES: dict[str, tuple[Callable[[Any], None], dict[str, Any]]] = {
    "terabytes, none stored": (lambda g: g.create_dataset("k:0", (2**40,), "f4", chunks=(2**20,)), {}),
    "gigabytes, packed": (lambda g: g.create_dataset("k:0", (6 * 10**8,), "f4", chunks=(10**6,), compression=1), {}),
    "terabytes in one piece": (lambda g: g.create_dataset("k:0", (2**40,), "f4"), {}),
    "a number for names": (ones, {"names": 5}),
    "nothing for names": (ones, {"names": h5py.Empty("S5")}),
    "names that are no text": (ones, {"names": (b"\xff\xfe",)}),
    "a number for names of weights": (ones, {"weights": 7}),
    "a name twice": (ones, {"weights": (b"k:0", b"k:0")}),
    "no values": (lambda g: g.create_dataset("k:0", data=h5py.Empty("f4")), {}),
    "a group for values": (lambda g: g.create_group("k:0"), {}),
    "another file's values": (lambda g: g.create_dataset("k:0", (3,), "f4", external="secret.bin"), {}),
    "another place's values": (lambda g: g.__setitem__("k:0", h5py.SoftLink("/dense/k:0")), {}),
    "values put together": (virtual, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_harmful_files(tmp_path: Path, case: str) -> None:
    path = tmp_path / "m.weights"
    put, options = CASES[case]
    classic(path, put, **options)
    assert path.stat().st_size < 20000
    with pytest.raises(CheckpointError) as caught, open_checkpoint(path) as reader:
        for name in reader.names():
            reader.read(name)
    assert str(path) in str(caught.value)


def test_a_hole_in_which_the_hdf5_library_hangs(tmp_path: Path) -> None:
    data = bytearray((GOLDEN / "bert_with_mlm/model.weights").read_bytes())
    data[4673:4873] = bytes(200)
    path = tmp_path / "m.weights"
    path.write_bytes(data)
    with pytest.raises(CheckpointDamagedError, match=r"m\.weights"):
        open_checkpoint(path)


def test_chunks_that_say_to_be_larger_than_they_are(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (4000, 1003), "f4", chunks=(100, 1003), compression="gzip")[:] = 0
    data = path.read_bytes().replace((1003).to_bytes(4, "little"), (1_000_003).to_bytes(4, "little"))
    path.write_bytes(data)
    tracemalloc.start()
    with contextlib.closing(Hdf5File(str(path))) as file:
        assert file.root["a"].shape == (4000, 1_000_003)
        with pytest.raises(ValueError, match="values in a file of"):
            file.root["a"].read()
    assert tracemalloc.get_traced_memory()[1] < 50 * 2**20
    tracemalloc.stop()
