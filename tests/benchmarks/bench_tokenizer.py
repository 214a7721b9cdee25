"""Throughput of the tokenizer beside Hugging Face `tokenizers` on real Chinese texts, one thread each.

    python tests/benchmarks/bench_tokenizer.py DATASETS VOCAB [--rounds 9] [--texts 3800]

DATASETS is a folder of JSON-lines and text files (CLUE, FewCLUE, sentiment, similarity, ...), VOCAB a vocabulary file.
Both tokenizers run over the same texts in turns (A B A B ...), once per round; the medians and the median of the
per-round ratios are printed. The first round, which fills the caches of both, is also shown on its own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
from collections.abc import Callable
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

from rounds import seconds  # noqa: E402
from tokenizers import BertWordPieceTokenizer  # noqa: E402

from bert4keras2.tokenizers import Tokenizer  # noqa: E402

FIELDS = ("sentence", "sentence1", "sentence2", "text", "content", "abst", "query", "context")


def read_texts(folder: Path, count: int) -> list[str]:
    """Texts drawn evenly from the files below a folder, in random order, always the same ones."""
    groups = []
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".json", ".jsonl", ".txt", ".tsv", ".csv", ".data") or "poetry" in path.parts:
            continue
        texts = []
        for line in path.read_text(encoding="utf-8", errors="ignore").splitlines()[:4000]:
            if line.startswith("{"):
                try:
                    item = json.loads(line)
                except ValueError:
                    continue
                texts += [item[field] for field in FIELDS if isinstance(item.get(field), str)]
            elif path.suffix != ".json":
                texts += [max(line.split("\t"), key=len)]
        texts = [text for text in texts if text.strip()]
        if texts:
            groups.append(texts)
    generator = random.Random(0)
    share = -(-count // len(groups))
    texts = [text for group in groups for text in generator.sample(group, min(share, len(group)))]
    generator.shuffle(texts)
    return texts[:count]


def in_batches(function: Callable[[list[str]], object], texts: list[str], size: int) -> None:
    for start in range(0, len(texts), size):
        function(texts[start : start + size])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", type=Path)
    parser.add_argument("vocab", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--texts", type=int, default=3800)
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()

    texts = read_texts(options.datasets, options.texts)
    characters = sum(map(len, texts))
    lengths = sorted(map(len, texts))
    print(
        f"{len(texts)} texts, {characters} characters; length median {lengths[len(lengths) // 2]}, "
        f"mean {characters / len(texts):.0f}, longest {lengths[-1]}"
    )
    ours = Tokenizer(options.vocab, do_lower_case=True)
    theirs = BertWordPieceTokenizer(str(options.vocab), lowercase=True)

    def our_single() -> None:
        for text in texts:
            ours.encode(text)

    def their_single() -> None:
        for text in texts:
            theirs.encode(text).ids  # noqa: B018  (the ids are made when they are asked for)

    cases = {
        "one text at a time": (our_single, their_single),
        f"batches of {options.batch}": (
            lambda: in_batches(ours.encode_batch, texts, options.batch),
            lambda: in_batches(lambda part: [row.ids for row in theirs.encode_batch(part)], texts, options.batch),
        ),
        "all texts in one batch": (
            lambda: ours.encode_batch(texts, maxlen=512),
            lambda: [row.ids for row in theirs.encode_batch(texts)],
        ),
    }
    for name, (first, second) in cases.items():
        ours = Tokenizer(options.vocab, do_lower_case=True)  # with empty caches
        pairs = [(seconds(first), seconds(second)) for _ in range(options.rounds + 1)]
        cold, warm = pairs[0], pairs[1:]
        ratios = sorted(b / a for a, b in warm)
        a, b = (statistics.median(column) for column in zip(*warm, strict=True))
        print(
            f"{name:24} bert4keras2 {characters / a / 1e6:6.2f} M chars/s ({len(texts) / a:8.0f} texts/s)   "
            f"tokenizers {characters / b / 1e6:6.2f} M chars/s ({len(texts) / b:8.0f} texts/s)   "
            f"ratio {statistics.median(ratios):5.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}); "
            f"first pass {cold[1] / cold[0]:.2f}"
        )

    batch, _ = ours.encode_batch(texts)
    same = different = 0
    for row, text in zip(batch, texts, strict=True):
        ids = ours.encode(text)[0]
        assert row[: len(ids)].tolist() == ids and not row[len(ids) :].any()
        if ids == theirs.encode(text).ids:
            same += 1
        else:
            different += 1
            if different <= 3:
                expected = theirs.encode(text).ids
                at = next((i for i, (x, y) in enumerate(zip(ids, expected, strict=False)) if x != y), -1)
                print(f"  differs at token {at}: {ours.ids_to_tokens(ids[at : at + 3])} in {text[:60]!r}")
    print(f"same ids as tokenizers: {same} of {len(texts)} texts ({same / len(texts):.2%})")


if __name__ == "__main__":
    main()
