"""Peak memory of reading and writing a checkpoint variable by variable, for every format.

Run by hand: `python tests/benchmarks/bench_checkpoint_memory.py [--mib 400] [formats]`. Each line gives the format,
what was done, and how far the peak of resident memory rose above where it was after one variable had been handled (so
that the packages' own size does not count). Pages of files that the system merely keeps mapped are not counted.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

MIB = 2**20
FORMATS = ("safetensors", "tensorflow", "keras2_hdf5", "torch")


def private_memory() -> float:
    """Return the anonymous resident memory of this process in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this kernel does not report RssAnon")


class Peak:
    """Samples the memory in a thread while a block runs."""

    def __enter__(self) -> Peak:
        self.start = self.highest = private_memory()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def _sample(self) -> None:
        while not self._stop.is_set():
            self.highest = max(self.highest, private_memory())
            time.sleep(0.001)

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        self.rise = self.highest - self.start


def variables(total: int, each: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield arrays of `each` MiB that add up to `total` MiB."""
    for number in range(total // each):
        yield f"layer/v{number}", np.full(each * MIB // 4, number, "float32")


def write(kind: str, path: str, items: Iterator[tuple[str, np.ndarray]], shard: int) -> None:
    """Write the items with the writer of a format."""
    if kind == "safetensors":
        from bert4keras2.checkpoints import write_safetensors

        write_safetensors(path, items)
    elif kind == "tensorflow":
        from bert4keras2.checkpoints import write_tensorflow

        write_tensorflow(path, items, shard_bytes=shard * MIB)
    elif kind == "torch":
        import torch

        torch.save({name: torch.from_numpy(value) for name, value in items}, path)
    else:
        import h5py

        with h5py.File(path, "w") as file:
            file.attrs["layer_names"] = [b"layer"]
            group = file.create_group("layer")
            names = []
            for name, value in items:
                group[name] = value
                names.append(name.encode())
            group.attrs["weight_names"] = names


def do_write(kind: str, folder: str, total: int, each: int, shard: int, results: multiprocessing.Queue) -> None:
    """Write a small file to load all packages, then the real one."""
    write(kind, f"{folder}/small", variables(each, each), shard)
    with Peak() as peak:
        start = time.perf_counter()
        write(kind, f"{folder}/large", variables(total, each), shard)
    results.put((peak.rise, time.perf_counter() - start))


def do_read(kind: str, folder: str, total: int, each: int, shard: int, results: multiprocessing.Queue) -> None:
    """Read a small file to load all packages, then the real one."""
    from bert4keras2.checkpoints import open_checkpoint

    with open_checkpoint(f"{folder}/small") as reader:
        reader.read(reader.names()[0])
    with Peak() as peak:
        start = time.perf_counter()
        with open_checkpoint(f"{folder}/large") as reader:
            assert reader.format == kind and len(reader) == total // each
            for name in reader.names():
                assert reader.read(name).nbytes == each * MIB
    results.put((peak.rise, time.perf_counter() - start))


def main() -> None:
    """Measure each format in processes of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=400, help="size of the file")
    parser.add_argument("--variable-mib", type=int, default=8, help="size of each variable")
    parser.add_argument("--shard-mib", type=int, default=64, help="data file size of TensorFlow")
    parser.add_argument("formats", nargs="*", default=FORMATS, metavar="format", help=f"of {', '.join(FORMATS)}")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    for kind in options.formats:
        with tempfile.TemporaryDirectory() as folder:
            for action in (do_write, do_read):
                results = context.Queue()
                sizes = options.mib, options.variable_mib, options.shard_mib
                process = context.Process(target=action, args=(kind, folder, *sizes, results))
                process.start()
                process.join()
                if process.exitcode:
                    raise SystemExit(f"{kind}: {action.__name__} failed")
                rise, seconds = results.get()
                share = 100 * rise / options.mib
                name = action.__name__.removeprefix("do_")
                print(f"{kind:12} {name:6} {rise:7.1f} MiB ({share:.0f} % of the file) in {seconds:.2f} s")


if __name__ == "__main__":
    main()
