"""Texts per second of SentenceEncoder, beside random batches padded to their longest row, and sentence-transformers.

    python tests/benchmarks/bench_sentence_encoder.py --texts FILE ... --checkpoint FOLDER [--theirs] [--rounds 5]

Files have one text a line, or several between tabs, of which the longest is taken. FOLDER holds the model and its
tokenizer; with --theirs, sentence-transformers loads the same folder (it needs `modules.json` there). What is compared
runs in turn over the same texts, once per round, and ratios are taken round by round.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import keras
import numpy as np

from bert4keras2.embeddings import SentenceEncoder, similarity
from bert4keras2.snippets import sequence_padding


def read_texts(files: list[str], count: int) -> list[str]:
    """Return texts drawn evenly from files, in random order, always the same ones."""
    generator = random.Random(0)
    texts = []
    for name in files:
        with open(name, encoding="utf-8") as file:
            found = [max(line.rstrip("\n").split("\t"), key=len) for line in file if line.strip()]
        texts += generator.sample(found, min(-(-count // len(files)), len(found)))
    generator.shuffle(texts)
    return texts[:count]


def random_batches(encoder: SentenceEncoder, texts: list[str]) -> np.ndarray:
    """Return the vectors of texts batched as they come, each batch padded to its longest row; the same model."""
    found = []
    for start in range(0, len(texts), encoder.batch_size):
        part = [encoder.prefix + text for text in texts[start : start + encoder.batch_size]]
        ids = [encoder.tokenizer.encode(text, maxlen=encoder.maxlen)[0] for text in part]
        tokens = sequence_padding(ids).astype("int32")
        found.append(encoder._compiled([tokens, np.zeros_like(tokens)]))
    return np.concatenate(found)


def main() -> None:
    """Print medians, texts per second and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", nargs="+", required=True)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--count", type=int, default=3700)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--their-batch-size", type=int, default=32, help="32 is their default")
    parser.add_argument("--maxlen", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--theirs", action="store_true", help="compare with sentence-transformers too")
    parser.add_argument("--their-threads", type=int, help="threads of PyTorch")
    parser.add_argument("--no-random", action="store_true", help="leave out the random batches")
    parser.add_argument("--xla", action="store_true", help="XLA on TensorFlow, as another thing compared")
    options = parser.parse_args()

    texts = read_texts(options.texts, options.count)
    arguments = {"maxlen": options.maxlen, "batch_size": options.batch_size}
    encoder = SentenceEncoder.load(options.checkpoint, **arguments)
    runs = {"SentenceEncoder": encoder.encode}
    if options.xla:
        runs["XLA"] = SentenceEncoder.load(options.checkpoint, jit_compile=True, **arguments).encode
    if not options.no_random:
        runs["random batches"] = lambda texts: random_batches(encoder, texts)
    if options.theirs:
        import torch
        from sentence_transformers import SentenceTransformer

        if options.their_threads:
            torch.set_num_threads(options.their_threads)
        model = SentenceTransformer(options.checkpoint, device="cpu")
        model.max_seq_length = options.maxlen
        runs["sentence-transformers"] = lambda texts: model.encode(
            texts, batch_size=options.their_batch_size, show_progress_bar=False
        )

    lengths = sorted(len(encoder.tokenizer.encode(text, maxlen=options.maxlen)[0]) for text in texts)
    print(
        f"{len(texts)} texts, tokens: median {lengths[len(lengths) // 2]}, mean {sum(lengths) / len(lengths):.0f}, "
        f"longest {lengths[-1]} (cut at {options.maxlen}); {keras.backend.backend()}",
        flush=True,
    )

    def once(name: str) -> tuple[float, np.ndarray]:
        start = time.perf_counter()
        vectors = runs[name](texts)
        return time.perf_counter() - start, vectors

    results = {}
    for name in runs:
        seconds, results[name] = once(name)
        cosines = [similarity(a, b)[0, 0] for a, b in zip(results[name], results["SentenceEncoder"], strict=True)]
        print(f"{name}: first pass {seconds:.1f} s; smallest cosine with ours {min(cosines):.5f}", flush=True)
    times = {name: [] for name in runs}
    for number in range(options.rounds):
        for name in list(runs) if number % 2 else list(runs)[::-1]:
            times[name].append(once(name)[0])
    ours = times["SentenceEncoder"]
    for name, values in times.items():
        median = statistics.median(values)
        ratios = sorted(value / own for value, own in zip(values, ours, strict=True))
        print(
            f"{name}: median {median:.2f} s ({min(values):.2f} to {max(values):.2f}), "
            f"{len(texts) / median:.0f} texts/s; "
            f"ours is {statistics.median(ratios):.2f} times as fast ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )


if __name__ == "__main__":
    main()
