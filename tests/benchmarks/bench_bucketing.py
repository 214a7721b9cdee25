"""One training epoch on real texts: batches of similar length against random batches padded to their longest row.

    KERAS_BACKEND=tensorflow python tests/benchmarks/bench_bucketing.py --texts FILE --vocab VOCAB [--rounds 5]

FILE has one text a line, optionally a tab and a label behind it. A BERT classifier is trained on both kinds of
batches in turn; the first epoch of each, which traces or compiles, is printed apart; ratios are taken round by round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from bert4keras2.backend import Model, keras
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import Adam
from bert4keras2.snippets import DataGenerator, sequence_padding
from bert4keras2.tokenizers import Tokenizer


class Batches(DataGenerator):
    """Pads to a multiple of 16 when batches are bucketed, and to the longest row when they are not."""

    def collate(self, batch):
        tokens = sequence_padding(batch, multiple=16 if self.bucket_window else None)
        self.shapes.add(tokens.shape)
        self.cells[0] += tokens.size
        self.cells[1] += int((tokens == 0).sum())
        return [tokens, np.zeros_like(tokens)], np.array([len(ids) % 2 for ids in batch])


def build(vocabulary: int, layers: int, width: int) -> Model:
    """Return a compiled BERT classifier with new weights."""
    bert = build_transformer_model(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        intermediate_size=4 * width,
        dropout_rate=0.1,
        attention_dropout_rate=0.1,
    )
    model = Model(bert.inputs, keras.layers.Dense(2, activation="softmax")(bert.output[:, 0]))
    model.compile(Adam(1e-5), "sparse_categorical_crossentropy")
    return model


def main() -> None:
    """Print times, shapes, shares of padding and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", required=True)
    parser.add_argument("--vocab", required=True)
    parser.add_argument("--samples", type=int, default=960)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--maxlen", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    tokenizer = Tokenizer(options.vocab, do_lower_case=True)
    with open(options.texts, encoding="utf-8") as file:
        texts = [line.split("\t")[0].strip() for line in file][: options.samples]
    ids = [tokenizer.encode(text, maxlen=options.maxlen)[0] for text in texts]
    lengths = sorted(map(len, ids))
    print(
        f"{len(ids)} texts, tokens: median {lengths[len(ids) // 2]}, longest {lengths[-1]}; {keras.backend.backend()}"
    )

    np.random.seed(0)
    runs = {}
    for name, window in (("random", None), ("bucketed", 50)):
        generator = Batches(ids, options.batch_size, bucket_window=window)
        generator.shapes, generator.cells = set(), [0, 0]
        runs[name] = generator, build(tokenizer.vocab_size, options.layers, options.width)

    def epoch(name: str) -> float:
        generator, model = runs[name]
        start = time.perf_counter()
        model.fit(generator.forfit(), steps_per_epoch=len(generator), epochs=1, verbose=0)
        return time.perf_counter() - start

    for name in runs:
        print(f"{name}: first epoch {epoch(name):.1f} s")
    times = {name: [] for name in runs}
    for number in range(options.rounds):
        for name in list(runs) if number % 2 else list(runs)[::-1]:
            times[name].append(epoch(name))
    for name, (generator, _) in runs.items():
        padding = 100 * generator.cells[1] / generator.cells[0]
        values = times[name]
        print(
            f"{name}: median {statistics.median(values):.2f} s ({min(values):.2f} to {max(values):.2f}), "
            f"{len(generator.shapes)} shapes, {padding:.0f} % padding"
        )
    ratios = [a / b for a, b in zip(times["random"], times["bucketed"], strict=True)]
    print(f"random / bucketed: median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}")


if __name__ == "__main__":
    main()
