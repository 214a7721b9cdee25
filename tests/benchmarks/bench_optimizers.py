"""One training step of a small transformer: classic optimizers against keras.optimizers.AdamW.

    KERAS_BACKEND=tensorflow python tests/benchmarks/bench_optimizers.py [--rounds 15]

Three stacks are timed: decay and schedule; the same with gradient accumulation over two micro-batches, per
micro-step; and AdamW of Keras, plain and with its own accumulation. Each round times all of them, one after the other,
some steps each, and ratios are taken round by round.
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

from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import (
    Adam,
    extend_with_gradient_accumulation,
    extend_with_piecewise_linear_lr,
    extend_with_weight_decay,
)

VOCABULARY = 5000
Scheduled = extend_with_piecewise_linear_lr(extend_with_weight_decay(Adam))
Accumulated = extend_with_gradient_accumulation(Scheduled)
CLASSIC = {
    "weight_decay_rate": 0.01,
    "exclude_from_weight_decay": ["Norm", "bias"],
    "lr_schedule": {1000: 1, 20000: 0.1},
}
STACKS = {
    "AdamW": lambda: keras.optimizers.AdamW(1e-4, weight_decay=0.01),
    "AdamW, accumulated": lambda: keras.optimizers.AdamW(1e-4, weight_decay=0.01, gradient_accumulation_steps=2),
    "decay + schedule": lambda: Scheduled(1e-4, **CLASSIC),
    "decay + schedule + accumulation": lambda: Accumulated(1e-4, grad_accum_steps=2, **CLASSIC),
}
PAIRS = [
    ("decay + schedule", "AdamW"),
    ("decay + schedule + accumulation", "AdamW"),
    ("decay + schedule + accumulation", "AdamW, accumulated"),
]


def build(make, layers: int, width: int, jit: bool | str) -> keras.Model:
    """Return a compiled classifier over a small BERT."""
    bert = build_transformer_model(
        vocab_size=VOCABULARY,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        intermediate_size=4 * width,
        dropout_rate=0.1,
        attention_dropout_rate=0.1,
    )
    model = keras.Model(bert.inputs, keras.layers.Dense(2, activation="softmax")(bert.output[:, 0]))
    model.compile(make(), "sparse_categorical_crossentropy", jit_compile=jit)
    return model


def main() -> None:
    """Print times and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=4, help="steps per round and stack, an even number")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--xla", action="store_true", help="compile with XLA on TensorFlow")
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    tokens = generator.integers(1, VOCABULARY, (options.batch_size, options.length)).astype("int32")
    batch = [tokens, np.zeros_like(tokens)], generator.integers(0, 2, options.batch_size)
    jit = options.xla if keras.backend.backend() == "tensorflow" else "auto"
    models = {name: build(make, options.layers, options.width, jit) for name, make in STACKS.items()}

    def once(model) -> float:
        start = time.perf_counter()
        for _ in range(options.steps):
            model.train_on_batch(*batch)
        return 1000 * (time.perf_counter() - start) / options.steps

    for model in models.values():
        once(model)
        once(model)
    times = {name: [] for name in models}
    for number in range(options.rounds):
        order = list(models.items())
        for name, model in order if number % 2 else order[::-1]:
            times[name].append(once(model))
    print(f"{keras.backend.backend()}, {models['AdamW'].count_params():,} parameters, ms per step")
    for name, values in times.items():
        print(f"{name}: median {statistics.median(values):.1f}, {min(values):.1f} to {max(values):.1f}")
    for ours, theirs in PAIRS:
        ratios = sorted(a / b for a, b in zip(times[ours], times[theirs], strict=True))
        low, high = ratios[len(ratios) // 4], ratios[3 * len(ratios) // 4]
        print(f"{ours} / {theirs}: median {statistics.median(ratios):.3f}, quartiles {low:.3f} to {high:.3f}")


if __name__ == "__main__":
    main()
