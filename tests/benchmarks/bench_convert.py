"""Peak memory and time of `python -m bert4keras2.convert` on a checkpoint of the size of BERT-base.

Run by hand: `python tests/benchmarks/bench_convert.py [--layers 12] [--vocabulary 21128]`. A random TensorFlow
checkpoint (about 390 MB) is written into a temporary folder and converted to Hugging Face's format and back, each in a
process of its own. The peak is VmHWM, all resident pages of the process, mapped files included; the baseline is the
same of a process that imports what the conversion imports and converts a checkpoint of a few kB.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
MB = 1e6
CODE = """
import sys
from bert4keras2.convert import main
status = main(sys.argv[1:])
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print("peak", int(peak.split()[1]) * 1024)
raise SystemExit(status)
"""


def variables(vocabulary: int, width: int, layers: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield random variables of a BERT with all heads under TensorFlow's names."""
    random = np.random.default_rng(0)

    def make(name: str, *shape: int) -> tuple[str, np.ndarray]:
        return name, random.standard_normal(shape, "float32")

    for name, rows in (("word", vocabulary), ("position", 512), ("token_type", 2)):
        yield make(f"bert/embeddings/{name}_embeddings", rows, width)
    norms = ["bert/embeddings", "cls/predictions/transform"]
    matrices = {"bert/pooler/dense": (width, width), "cls/predictions/transform/dense": (width, width)}
    for i in range(layers):
        layer = f"bert/encoder/layer_{i}"
        matrices |= {f"{layer}/attention/self/{x}": (width, width) for x in ("query", "key", "value")}
        matrices |= {f"{layer}/attention/output/dense": (width, width)}
        matrices |= {f"{layer}/intermediate/dense": (width, 4 * width), f"{layer}/output/dense": (4 * width, width)}
        norms += [f"{layer}/attention/output", f"{layer}/output"]
    for name, shape in matrices.items():
        yield make(f"{name}/kernel", *shape)
        yield make(f"{name}/bias", shape[1])
    for name in norms:
        yield make(f"{name}/LayerNorm/beta", width)
        yield make(f"{name}/LayerNorm/gamma", width)
    yield make("cls/predictions/output_bias", vocabulary)
    yield make("cls/seq_relationship/output_weights", 2, width)
    yield make("cls/seq_relationship/output_bias", 2)


def prepare(folder: Path, vocabulary: int, width: int, layers: int) -> int:
    """Write a folder with a checkpoint and return the size of its weights in bytes."""
    from bert4keras2.checkpoints import write_tensorflow

    write_tensorflow(folder / "bert_model.ckpt", variables(vocabulary, width, layers))
    sizes = {"vocab_size": vocabulary, "hidden_size": width, "intermediate_size": 4 * width, "hidden_act": "gelu"}
    sizes |= {"num_hidden_layers": layers, "num_attention_heads": 12, "max_position_embeddings": 512}
    (folder / "bert_config.json").write_text(json.dumps({**sizes, "type_vocab_size": 2}))
    return sum(path.stat().st_size for path in folder.glob("*.data-*"))


def convert(source: Path, target: Path) -> tuple[int, float]:
    """Convert in a process of its own; return its peak in bytes and the seconds that it took."""
    start = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "tensorflow"}
    command = [sys.executable, "-c", CODE, str(source), str(target), "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr)
    return int(done.stdout.rpartition("peak ")[2]), time.perf_counter() - start


def main() -> None:
    """Measure both directions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocabulary", type=int, default=21128)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--layers", type=int, default=12)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for name, sizes in (("small", (50, 12, 1)), ("large", (options.vocabulary, options.width, options.layers))):
            (work / name).mkdir()
            size = prepare(work / name, *sizes)
        print(f"checkpoint: {size / MB:.0f} MB")
        for direction, source, target in (("TensorFlow to Hugging Face", "", "-hf"), ("and back", "-hf", "-tf")):
            base, _ = convert(work / f"small{source}", work / f"small{target}")
            peak, seconds = convert(work / f"large{source}", work / f"large{target}")
            print(
                f"{direction}: peak {peak / MB:.0f} MB = {peak / size:.2f} x the checkpoint; above the baseline of "
                f"{base / MB:.0f} MB: {(peak - base) / MB:.0f} MB = {(peak - base) / size:.2f} x; {seconds:.1f} s"
            )


if __name__ == "__main__":
    main()
