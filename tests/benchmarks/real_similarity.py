"""Spearman correlation of a real encoder's sentence vectors on STS-B and LCQMC, beside what PyTorch gave.

    python tests/benchmarks/real_similarity.py --shared ../shared [--task sts-b|lcqmc]

Needs the real data; run by hand. Vectors are the mean over real positions, with the prefix the encoder was trained
with.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from bert4keras2.backend import Model
from bert4keras2.layers import GlobalAveragePooling1D
from bert4keras2.metrics import spearman
from bert4keras2.models import build_transformer_model
from bert4keras2.snippets import sequence_padding
from bert4keras2.tokenizers import SpTokenizer

TASKS = {"sts-b": ("similarity/STS-B/sts-b-test.txt", None, 0.772), "lcqmc": ("similarity/LCQMC/test.txt", 4000, 0.717)}


def vectors(model, tokenizer, texts: list[str], batch_size: int = 64) -> np.ndarray:
    """Return (N, C) unit vectors; texts of similar length share a batch."""
    ids = [tokenizer.encode(f"query: {text}", maxlen=128)[0] for text in texts]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    found = np.zeros((len(ids), model.output_shape[-1]), "float32")
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        tokens = sequence_padding([ids[i] for i in rows]).astype("int32")
        found[rows] = model.predict_on_batch([tokens, np.zeros_like(tokens)])
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def main() -> None:
    """Print the correlation of each task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--task", choices=sorted(TASKS), action="append")
    args = parser.parse_args()
    folder = args.shared / "checkpoints" / "me5_small_zh"
    encoder = build_transformer_model(folder)
    model = Model(encoder.inputs, GlobalAveragePooling1D()(encoder.output))
    tokenizer = SpTokenizer(str(folder / "sentencepiece.model"), token_start="<s>", token_end="</s>")
    for task in args.task or sorted(TASKS):
        file, limit, reference = TASKS[task]
        lines = (args.shared / "datasets" / file).read_text(encoding="utf-8").splitlines()[:limit]
        first, second, labels = zip(*(line.split("\t") for line in lines if line.strip()), strict=True)
        start = time.perf_counter()
        both = vectors(model, tokenizer, [*first, *second])
        cosine = (both[: len(first)] * both[len(first) :]).sum(1)
        score = spearman(cosine, np.array(labels, float))
        seconds = time.perf_counter() - start
        print(f"{task}: Spearman {score:.4f} (PyTorch {reference}), {len(first)} pairs, {seconds:.1f} s")


if __name__ == "__main__":
    main()
