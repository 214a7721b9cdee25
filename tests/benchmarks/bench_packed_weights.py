"""Decoding several rows with packed matrices against matrices as they lie, on PyTorch.

    KERAS_BACKEND=torch python tests/benchmarks/bench_packed_weights.py [--rounds 5] [--layers 12 --width 768]

A UniLM of BERT-base's size with random weights; a prompt of 20 tokens, 32 new ones. Printed are seconds of a call after
the first, the ratio, taken round by round, and whether the tokens are the same.
"""

from __future__ import annotations

import os
import statistics
import time

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
from rounds import spread
from torch.backends.cpu import get_cpu_capability
from writer import build, sizes

from bert4keras2.decoders import Generator
from bert4keras2.functional import prepared

PROMPT, TOKENS = 20, 32
WAYS = {
    "1 prompt": {"strategy": "greedy"},
    "4 prompts": {"strategy": "greedy"},
    "10 samples": {"strategy": "sample", "num_return": 10, "top_k": 50, "seed": 1},
    "beam of 4": {"strategy": "beam", "num_beams": 4},
}


def main() -> None:
    arguments = sizes(__doc__, 5).parse_args()
    generator = Generator(build(arguments), end_id=())
    steps = prepared.STEPS_OF.get(get_cpu_capability(), prepared.STEPS)
    prepared.STEPS_OF = {}
    prompts = np.random.RandomState(0).randint(1, arguments.vocabulary - 1, (4, PROMPT)).tolist()

    def timed(least: float, name: str) -> tuple[float, list[list[int]]]:
        """Return the seconds of a second call, in which what is prepared is there, and its tokens."""
        prepared.STEPS = steps._replace(weights=least)
        generator.engine._prepared._kept.clear()
        for _ in range(2):
            start = time.perf_counter()
            found = generator.generate(prompts[: 4 if name == "4 prompts" else 1], TOKENS, **WAYS[name])
            seconds = time.perf_counter() - start
        lines = [line for row in found for line in (row if isinstance(row, list) else [row])]
        return seconds, [line.ids for line in lines]

    for name in WAYS:
        rounds = [(timed(float("inf"), name), timed(steps.weights, name)) for _ in range(arguments.rounds)]
        pairs = [(usual[0], fast[0]) for usual, fast in rounds]
        usual, fast = (statistics.median(column) for column in zip(*pairs, strict=True))
        same = all(usual[1] == fast[1] for usual, fast in rounds)
        print(
            f"{name}: usual {usual:.2f} s, packed {fast:.2f} s, ratio {spread(pairs)}; "
            f"{'the same' if same else 'OTHER'} tokens",
            flush=True,
        )


if __name__ == "__main__":
    main()
