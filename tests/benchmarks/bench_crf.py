"""One training step of a tagger: a conditional random field over an encoder, against softmax over the same encoder.

    KERAS_BACKEND=tensorflow python tests/benchmarks/bench_crf.py [--rounds 9] [--layers 4 --width 256]

Each round times both heads, one after the other, and ratios are taken round by round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

from bert4keras2.backend import Model
from bert4keras2.layers import ConditionalRandomField
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import Adam

VOCABULARY = 2000


def build(labels: int, crf: bool, layers: int, width: int) -> Model:
    """Return a compiled tagger."""
    bert = build_transformer_model(
        vocab_size=VOCABULARY,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        intermediate_size=4 * width,
        dropout_rate=0.1,
    )
    x = keras.layers.Dense(labels, activation=None if crf else "softmax")(bert.output)
    layer = ConditionalRandomField(lr_multiplier=100) if crf else None
    model = Model(bert.inputs, layer(x) if crf else x)
    model.compile(Adam(1e-5), layer.sparse_loss if crf else "sparse_categorical_crossentropy")
    return model


def main() -> None:
    """Print times and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=2, help="steps per round and head")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--labels", type=int, nargs="+", default=[9, 33])
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    shape = options.batch_size, options.length
    tokens = generator.integers(1, VOCABULARY, shape).astype("int32")
    tokens[:, options.length * 3 // 4 :] *= np.arange(options.batch_size)[:, None] % 2 == 0  # some padding
    print(f"{keras.backend.backend()}, {options.layers} x {options.width}, batch {shape}, ms per step")
    for labels in options.labels:
        y = generator.integers(0, labels, shape).astype("int32")
        models = [build(labels, crf, options.layers, options.width) for crf in (False, True)]

        def once(model, y=y) -> float:
            start = time.perf_counter()
            for _ in range(options.steps):
                model.train_on_batch([tokens, tokens * 0], y)
            return 1000 * (time.perf_counter() - start) / options.steps

        for model in models:
            once(model)
        times = [[once(model) for model in models] for _ in range(options.rounds)]
        softmax, crf = (statistics.median(column) for column in zip(*times, strict=True))
        ratios = sorted(b / a for a, b in times)
        low, high = ratios[len(ratios) // 4], ratios[3 * len(ratios) // 4]
        print(f"{labels} labels: softmax {softmax:.0f}, CRF {crf:.0f}; ratio", end=" ")
        print(f"{statistics.median(ratios):.3f}, quartiles {low:.3f} to {high:.3f}", flush=True)


if __name__ == "__main__":
    main()
