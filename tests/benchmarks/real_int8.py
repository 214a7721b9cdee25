"""What int8 costs a real encoder, and brings: Spearman on STS-B in float32 and exported to ONNX with and without int8,
and the time of many texts and of one.

    python tests/benchmarks/real_int8.py --shared ../shared

Needs the real data and the extra `export`; run by hand.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from bert4keras2.embeddings import SentenceEncoder
from bert4keras2.metrics import spearman


def main() -> None:
    """Print size, correlation, likeness to float32 and time of each kind of encoder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--limit", type=int, help="pairs that are read")
    parser.add_argument("--single", type=int, default=200, help="texts that are encoded one by one")
    given = parser.parse_args()
    path = given.shared / "datasets/similarity/STS-B/sts-b-test.txt"
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()][: given.limit]
    first, second, labels = zip(*(line.split("\t") for line in lines), strict=True)
    texts, truth = [*first, *second], np.array(labels, float)
    folder = given.shared / "checkpoints" / "me5_small_zh"
    own = SentenceEncoder.load(folder, prefix="query: ", normalize=True)
    with tempfile.TemporaryDirectory() as work:
        encoders = {"Keras": own}
        sizes = {"Keras": os.path.getsize(folder / "model.safetensors")}
        for name, int8 in (("ONNX", False), ("ONNX, int8", True)):
            target = os.path.join(work, name.replace(", ", "-"))
            print(own.export(target, int8=int8))
            encoders[name] = SentenceEncoder.load(target)
            sizes[name] = os.path.getsize(os.path.join(target, "model.onnx"))
        reference = None
        for name, encoder in encoders.items():
            encoder.encode(texts[:64], progress=False)
            start = time.perf_counter()
            vectors = encoder.encode(texts, progress=False)
            seconds = time.perf_counter() - start
            reference = vectors if reference is None else reference
            cosines = (vectors[: len(first)] * vectors[len(first) :]).sum(1)
            likeness = float((vectors * reference).sum(1).mean())
            print(
                f"{name}: {sizes[name] / 2**20:.1f} MiB, Spearman {spearman(cosines, truth):.4f}, cosine with Keras"
                f" {likeness:.4f}, {len(texts)} texts in {seconds:.1f} s"
            )
        # One after the other, not in turns: onnxruntime's threads go on waiting busily for a while after each call.
        single = {}
        for name, encoder in encoders.items():
            time.sleep(1)
            times = []
            for text in texts[: given.single]:
                start = time.perf_counter()
                encoder.encode(text, progress=False)
                times.append(1e3 * (time.perf_counter() - start))
            single[name] = statistics.median(times)
            ratio = single["Keras"] / single[name]
            print(f"{name}: one text in {single[name]:.1f} ms, Keras takes {ratio:.2f} of that")


if __name__ == "__main__":
    main()
