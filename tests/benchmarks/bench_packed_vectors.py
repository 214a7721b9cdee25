"""Texts per second of SentenceEncoder with several texts in a row, beside batches of like lengths.

    KERAS_BACKEND=torch python tests/benchmarks/bench_packed_vectors.py [--rounds 5] [--texts FILE --checkpoint FOLDER]

Without files, a BERT of `--layers` and `--width` with random weights encodes random texts whose lengths are log-normal.
Both ways encode the same texts in turn, all at once and `--few` at a time; the first call of each, which traces or
compiles, is left out, and ratios are taken round by round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from rounds import spread

from bert4keras2.embeddings import SentenceEncoder
from bert4keras2.models import build_transformer_model
from bert4keras2.tokenizers import Tokenizer


def random_encoder(layers: int, width: int, batch_size: int) -> SentenceEncoder:
    """Return an encoder with random weights."""
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *map(chr, range(0x4E00, 0x4E00 + 5000))]
    bert = build_transformer_model(
        vocab_size=len(tokens),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // 64),
        intermediate_size=4 * width,
        return_keras_model=False,
    )
    tokenizer = Tokenizer({token: i for i, token in enumerate(tokens)})
    return SentenceEncoder(bert, tokenizer, maxlen=128, batch_size=batch_size)


def random_texts(count: int) -> list[str]:
    """Return texts of unlike lengths, 20 characters in the middle."""
    random = np.random.default_rng(0)
    sizes = np.clip(np.exp(random.normal(3.0, 0.7, count)), 2, 120).astype(int)
    return ["".join(map(chr, random.integers(0x4E00, 0x4E00 + 5000, size))) for size in sizes]


def main() -> None:
    """Print medians, texts per second and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts")
    parser.add_argument("--checkpoint")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--few", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.checkpoint:
        encoder = SentenceEncoder.load(arguments.checkpoint, batch_size=arguments.batch_size)
    else:
        encoder = random_encoder(arguments.layers, arguments.width, arguments.batch_size)
    texts = random_texts(arguments.count)
    if arguments.texts:
        with open(arguments.texts, encoding="utf-8") as file:
            texts = [line.rstrip("\n").split("\t")[0] for line in file if line.strip()][: arguments.count]

    def seconds(packed: bool, size: int) -> float:
        start = time.perf_counter()
        for begin in range(0, len(texts), size):
            encoder.encode(texts[begin : begin + size], progress=False, packed=packed)
        return time.perf_counter() - start

    apart = np.abs(encoder.encode(texts, packed=True) - encoder.encode(texts)).max()
    print(f"{len(texts)} texts; vectors differ by {apart:.1e} at most")
    for size in (len(texts), arguments.few):
        seconds(False, size), seconds(True, size)
        pairs = [(seconds(False, size), seconds(True, size)) for _ in range(arguments.rounds)]
        padded, packed = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(
            f"{size} at a time: like lengths {len(texts) / padded:.0f} texts/s, packed {len(texts) / packed:.0f},"
            f" ratio {spread(pairs)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
