"""Decoding with matrices in bfloat16 against float32, on PyTorch, for one row and for a few.

    KERAS_BACKEND=torch python tests/benchmarks/bench_narrow_weights.py [--rounds 5] [--layers 12 --width 768]

A UniLM of BERT-base's size with random weights; 32 tokens after a prompt of 20, greedily. Printed are milliseconds for
each token and the ratio, taken round by round, and how far the first step's logits are from those of float32.
"""

from __future__ import annotations

import os
import statistics
import time

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
from rounds import spread
from writer import build, sizes

from bert4keras2.decoders import Generator

PROMPT, TOKENS = 20, 32


def main() -> None:
    parser = sizes(__doc__, 5)
    arguments = parser.parse_args()
    size = arguments.vocabulary
    transformer = build(arguments)
    generators = [Generator(transformer, end_id=(), weights=weights) for weights in (None, "bfloat16")]
    prompts = np.random.RandomState(0).randint(1, size - 1, (8, PROMPT)).tolist()
    logits = []
    for generator in generators:
        ids = np.asarray(prompts[:1], "int32")
        _, cache = generator.engine.open([ids, np.zeros_like(ids)], [PROMPT], 16)
        logits.append(generator.engine.step(cache, ids[:, :1], np.ones((1, 1), "int32"), 0)[0])
    print(f"logits differ by {np.abs(logits[1] - logits[0]).max() / logits[0].std():.4f} of their deviation at most")

    def milliseconds(generator: Generator, rows: int) -> float:
        start = time.perf_counter()
        generator.generate(prompts[:rows], TOKENS)
        return 1e3 * (time.perf_counter() - start) / TOKENS

    for rows in (1, 4, 8):
        for generator in generators:
            milliseconds(generator, rows)
        pairs = [tuple(milliseconds(generator, rows) for generator in generators) for _ in range(arguments.rounds)]
        wide, narrow = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(
            f"{rows} rows: float32 {wide:.1f} ms, bfloat16 {narrow:.1f} ms a token, ratio {spread(pairs)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
