"""Training with and without batches of similar length: time per pass, shapes met, share of padding.

    KERAS_BACKEND=jax python tests/benchmarks/bench_bucketing.py [--layers 2] [--width 128] [--samples 1600]

A small BERT classifier is trained on random ids whose lengths are spread as those of short texts (3 to 128). The first
pass includes compilation, the second one does not, unless it meets new shapes.
"""

from __future__ import annotations

import argparse
import time

import keras
import numpy as np

from bert4keras2.models import build_transformer_model
from bert4keras2.snippets import DataGenerator, sequence_padding

VOCABULARY = 1000


class Batches(DataGenerator):
    """Pads to a multiple of 16 when batches are bucketed, and to the longest as scripts do when they are not."""

    def collate(self, batch):
        tokens = sequence_padding(batch, multiple=16 if self.bucket_window else None)
        return [tokens, np.zeros_like(tokens)], np.array([[ids[1] % 2] for ids in batch])


def build(layers: int, width: int) -> keras.Model:
    """Build a BERT classifier with new weights."""
    config = {
        "vocab_size": VOCABULARY,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": max(1, width // 64),
        "intermediate_size": 4 * width,
        "hidden_act": "gelu",
        "max_position_embeddings": 128,
        "type_vocab_size": 2,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "initializer_range": 0.02,
    }
    bert = build_transformer_model(config)
    first = keras.layers.Lambda(lambda x: x[:, 0], output_shape=(width,))(bert.output)
    model = type(bert)(bert.inputs, keras.layers.Dense(2)(first))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss, optimizer=keras.optimizers.Adam(1e-4))
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--samples", type=int, default=1600)
    parser.add_argument("--batch-size", type=int, default=16)
    options = parser.parse_args()

    random = np.random.RandomState(0)
    lengths = np.clip(random.gamma(2, 20, options.samples).astype(int) + 3, 3, 128)
    data = [random.randint(1, VOCABULARY, n).tolist() for n in lengths]
    print(f"{keras.backend.backend()}, {options.layers} x {options.width}, {options.samples} samples")
    for window in (None, 50):
        batches = Batches(data, options.batch_size, bucket_window=window)
        np.random.seed(0)
        shapes, size, stream = set(), 0, batches.forfit()
        for _ in range(len(batches)):
            tokens = next(stream)[0][0]
            shapes.add(tokens.shape)
            size += tokens.size
        model = build(options.layers, options.width)
        times = []
        stream = batches.forfit()
        for _ in range(2):
            start = time.perf_counter()
            model.fit(stream, steps_per_epoch=len(batches), verbose=0)
            times.append(time.perf_counter() - start)
        print(
            f"bucket_window={window}: {len(shapes)} shapes, {1 - lengths.sum() / size:.0%} padding,"
            f" first pass {times[0]:.1f} s, second {times[1]:.1f} s"
        )


if __name__ == "__main__":
    main()
