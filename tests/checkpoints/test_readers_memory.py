"""Reading and writing variable by variable holds one variable, not the file."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from bert4keras2.checkpoints import open_checkpoint, write_safetensors

MIB = 2**20
COUNT, EACH = 15, 4 * MIB  # a file of 60 MiB


def _variables() -> Iterator[tuple[str, np.ndarray]]:
    for number in range(COUNT):
        yield f"v{number}", np.full(EACH // 4, number, "float32")


def _hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"layer"]
        layer = file.create_group("layer")
        layer.attrs["weight_names"] = [f"v{number}".encode() for number in range(COUNT)]
        for name, value in _variables():
            layer[name] = value


def test_one_variable_is_in_memory_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    np.ones(1).sum()
    tracemalloc.start()
    try:
        write_safetensors(path, _variables())
        written = tracemalloc.get_traced_memory()[1]
        _hdf5(tmp_path / "model.h5")
        for file in (path, tmp_path / "model.h5"):
            tracemalloc.reset_peak()
            with open_checkpoint(file) as reader:
                assert sum(float(reader.read(name)[-1]) for name in reader.names()) == sum(range(COUNT))
                assert tracemalloc.get_traced_memory()[1] < 2.5 * EACH
    finally:
        tracemalloc.stop()
    # The writer copies the values in pieces of 16 MiB at the end.
    assert written < 16 * MIB + 2.5 * EACH


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak memory from /proc")
@pytest.mark.parametrize("kind", ["tensorflow"])
def test_memory_of_whole_processes(kind: str) -> None:
    # TensorFlow allocates outside of Python; the benchmark measures the peak of a fresh process.
    script = Path(__file__).parents[1] / "benchmarks" / "bench_checkpoint_memory.py"
    arguments = [sys.executable, str(script), "--mib", "96", "--variable-mib", "4", "--shard-mib", "8", kind]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    peaks = {line.split()[1]: float(line.split()[2]) for line in done.stdout.splitlines() if line.startswith(kind)}
    assert peaks["read"] < 40 and peaks["write"] < 48, done.stdout
