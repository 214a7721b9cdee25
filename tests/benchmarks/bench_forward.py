"""Forward pass of BERT-base, 8 x 128, float32, XLA on TensorFlow: this library against keras-hub's BertBackbone.

    KERAS_BACKEND=tensorflow python tests/benchmarks/bench_forward.py [--rounds 15]

Needs keras-hub. The two models have the same sizes and random weights; each round times both, one after the other, and
the ratio is taken round by round.
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

BATCH, LENGTH, VOCABULARY = 8, 128, 21128


def ours(layers: int):
    """Return our model as a function of (token ids, segment ids)."""
    model = build_transformer_model(
        vocab_size=VOCABULARY,
        hidden_size=768,
        num_hidden_layers=layers,
        num_attention_heads=12,
        intermediate_size=3072,
        dropout_rate=0.1,
        attention_dropout_rate=0.1,
    )
    return lambda tokens, segments: model([tokens, segments], training=False)


def theirs(layers: int):
    """Return keras-hub's model as a function of (token ids, segment ids)."""
    from keras_hub.models import BertBackbone

    model = BertBackbone(
        vocabulary_size=VOCABULARY, num_layers=layers, num_heads=12, hidden_dim=768, intermediate_dim=3072
    )

    def run(tokens, segments):
        mask = keras.ops.ones_like(tokens)
        return model({"token_ids": tokens, "segment_ids": segments, "padding_mask": mask}, training=False)

    return run


def compiled(function, jit: bool):
    """Return the function compiled for the backend."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=jit)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    import torch

    def run(*arrays):
        with torch.no_grad():
            return function(*arrays)

    return run


def main() -> None:
    """Print the medians and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--no-xla", action="store_true", help="TensorFlow graph without XLA")
    args = parser.parse_args()
    generator = np.random.default_rng(0)
    tokens = keras.ops.convert_to_tensor(generator.integers(1, VOCABULARY, (BATCH, LENGTH)).astype("int32"))
    segments = keras.ops.zeros_like(tokens)
    makers = {"bert4keras2": ours, "keras-hub": theirs}
    runs = {name: compiled(make(args.layers), not args.no_xla) for name, make in makers.items()}

    def once(run) -> float:
        start = time.perf_counter()
        result = run(tokens, segments)
        keras.ops.convert_to_numpy(result["sequence_output"] if isinstance(result, dict) else result)
        return 1000 * (time.perf_counter() - start)

    for name, run in runs.items():
        print(f"{name}: first call {once(run):.0f} ms")
        once(run)
    times = {name: [] for name in runs}
    for number in range(args.rounds):
        order = list(runs.items())
        for name, run in order if number % 2 else order[::-1]:
            times[name].append(once(run))
    ratios = [a / b for a, b in zip(times["bert4keras2"], times["keras-hub"], strict=True)]
    for name, values in times.items():
        print(f"{name}: median {statistics.median(values):.0f} ms, {min(values):.0f} to {max(values):.0f}")
    quarter = sorted(ratios)[len(ratios) // 4], sorted(ratios)[3 * len(ratios) // 4]
    print(f"ours / keras-hub: median {statistics.median(ratios):.3f}, quartiles {quarter[0]:.3f} to {quarter[1]:.3f}")


if __name__ == "__main__":
    main()
