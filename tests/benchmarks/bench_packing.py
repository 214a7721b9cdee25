"""Tokens per second of pre-training with several texts in a row, against one text padded to the row's length.

    python tests/benchmarks/bench_packing.py --corpus FILES [--rounds 7] [--steps 4]

Both learn from the same texts with the same model (RoFormerV2, 4 x 256) and objective (whole-word masking); rows of
both have 128 positions. Rounds take turns; what counts are tokens of the texts, padding and special tokens left out.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time

import bert4keras2.quiet  # noqa: F401
from bert4keras2.pretraining import PretrainingConfig
from bert4keras2.pretraining.data import Batches, Part
from bert4keras2.pretraining.objectives import OBJECTIVES, Setup
from bert4keras2.pretraining.run import build
from bert4keras2.pretraining.texts import prepare_texts


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", nargs="+", required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--precision", default="float32")
    arguments = parser.parse_args()
    import keras
    import numpy as np

    keras.config.set_dtype_policy(arguments.precision)
    with tempfile.TemporaryDirectory() as folder:
        runs = {}
        for packing in (True, False):
            values = {"corpus": arguments.corpus, "output": folder, "packing": packing, "vocab_size": 7500}
            config = PretrainingConfig.make({**values, "batch_size": arguments.batch_size})
            tokenizer, shards = prepare_texts(config)
            objective = OBJECTIVES["mlm"](Setup(tokenizer, config.row_length, packing))
            model = build(config, objective).model
            names = [tensor.name for tensor in model.inputs]
            batches = Batches(Part(shards, np.arange(len(shards))), objective, names, config.batch_size, 0)
            runs[packing] = model, batches.from_number(0), objective, names
            model.train_on_batch(*next(runs[packing][1]))
        special = runs[True][2].setup.special_ids[:1] + [tokenizer.start_id, tokenizer.end_id]
        rates: dict[bool, list[float]] = {True: [], False: []}
        for number in range(arguments.rounds):
            for packing in (True, False) if number % 2 else (False, True):
                model, stream, _, names = runs[packing]
                place = next(i for i, name in enumerate(names) if name.endswith("Token"))
                tokens, start = 0, time.perf_counter()
                for _ in range(arguments.steps):
                    inputs, targets = next(stream)
                    model.train_on_batch(inputs, targets)
                    tokens += int((~np.isin(inputs[place], special)).sum())
                rates[packing].append(tokens / (time.perf_counter() - start))
    ratio = statistics.median(a / b for a, b in zip(rates[True], rates[False], strict=True))
    packed, padded = (statistics.median(rates[packing]) for packing in (True, False))
    kind = f"{keras.backend.backend()}, {arguments.precision}"
    print(f"{kind}: packed {packed:,.0f} tokens/s, padded {padded:,.0f} tokens/s, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
