"""One training step of a small BERT: plain, and with each technique of `bert4keras2.training`.

    KERAS_BACKEND=tensorflow python tests/benchmarks/bench_adversarial.py [--rounds 10]

Each round times all of them, one after the other, and ratios to the plain step are taken round by round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from bert4keras2.backend import keras, set_seed
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import Adam
from bert4keras2.training import adversarial_training, gradient_penalty, virtual_adversarial_training

TECHNIQUES = {
    "plain": None,
    "FGM": adversarial_training,
    "gradient penalty": gradient_penalty,
    "VAT": virtual_adversarial_training,
}


def build(technique, arguments) -> keras.Model:
    """Return a compiled classifier over a small BERT."""
    set_seed(1)
    bert = build_transformer_model(
        vocab_size=arguments.vocabulary,
        hidden_size=arguments.width,
        num_hidden_layers=arguments.layers,
        num_attention_heads=arguments.width // 32,
        intermediate_size=4 * arguments.width,
        dropout_rate=0.1,
        attention_dropout_rate=0.1,
    )
    model = keras.models.Model(bert.inputs, keras.layers.Dense(2, activation="softmax")(bert.output[:, 0]))
    model.compile(Adam(1e-4), "sparse_categorical_crossentropy")
    if technique:
        technique(model, "Embedding-Token")
    return model


def main() -> None:
    """Time the steps and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("rounds", 10), ("steps", 2), ("layers", 4), ("width", 256), ("batch", 16), ("length", 64)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--vocabulary", type=int, default=21128)
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    tokens = random.integers(5, arguments.vocabulary, (arguments.batch, arguments.length))
    data = [tokens, np.zeros_like(tokens)], random.integers(0, 2, arguments.batch)
    models = {name: build(technique, arguments) for name, technique in TECHNIQUES.items()}
    for model in models.values():  # compile
        model.train_on_batch(*data)
        model.train_on_batch(*data)
    times: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(arguments.rounds):
        for name, model in models.items():
            start = time.perf_counter()
            for _ in range(arguments.steps):
                model.train_on_batch(*data)
            times[name].append((time.perf_counter() - start) / arguments.steps * 1000)
    print(f"{keras.config.backend()}: {arguments}")
    for name, values in times.items():
        ratios = sorted(a / b for a, b in zip(values, times["plain"], strict=True))
        middle, low, high = statistics.median(ratios), ratios[0], ratios[-1]
        print(f"{name:17} {statistics.median(values):8.1f} ms a step, {middle:.2f} x plain ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
