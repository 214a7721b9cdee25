"""Tasks beside the bare model, and beside transformers with PyTorch: the same encoder, rows, batches and rates.

    KERAS_BACKEND=tensorflow python tests/benchmarks/bench_tasks.py predict --texts FILE --data DATASETS
    KERAS_BACKEND=torch python tests/benchmarks/bench_tasks.py fit --checkpoint FOLDER --train FILE --test FILE

`predict`: what each task's `predict` of texts of mixed length takes, tokenization, answers and progress bar included,
over the compiled model on the same batches of ids: of 10,000 texts, or fewer where a text takes several rows. Taggers,
readers and choosers are trained a little before (on CLUE's files in DATASETS). `fit`: accuracy and seconds of an epoch
of `TextClassifier.fit`, and of a loop of PyTorch over transformers' model of the same folder with the same head, with
AdamW, a linear schedule, dropout, rows sorted into batches of similar length and padded to their longest; their texts
are tokenized beforehand, by our tokenizer, outside of what is timed. Rounds take turns; ratios are taken round by
round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

from bert4keras2.tasks import EntityTagger, MultipleChoice, SpanReader, TextClassifier, TextMatcher, read_rows

sys.path.append(str(Path(__file__).resolve().parents[2] / "examples" / "clue"))
from real_sets import choices, entities, reading  # noqa: E402 - a script beside those of CLUE reads their rows

HEADS = ("crf", "global_pointer", "efficient_global_pointer")  # of taggers
TASKS = ("classifier", *HEADS, "matcher", "choice", "reader")
SLOWER = {"reader": 5, "choice": 5, "matcher": 2}  # rows of the model that a text comes to, about


def timed(function: Any) -> tuple[float, Any]:
    """Return the seconds that a call took, and what it returned."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


class Recorded:
    """What a task calls its model by, and the batches that it was called with."""

    def __init__(self, run: Any):
        self.run, self.by_shape, self.batches = run, run.by_shape, []

    def __call__(self, arrays: Any) -> Any:
        self.batches.append(arrays)
        return self.run(arrays)


def trained(name: str, options: argparse.Namespace) -> Any:
    """Return a task that has learnt a little: what it answers costs as much as usual answers do."""
    common = {"prefix": options.prefix}
    if name == "classifier":
        return TextClassifier.from_checkpoint(options.checkpoint, labels=["0", "1"], pooling="mean", **common)
    if name in HEADS:
        rows, _ = entities(options.data)
        task = EntityTagger.from_checkpoint(options.checkpoint, head=name, **common)
    elif name == "reader":
        rows = sum(reading(options.data), [])
        task = SpanReader.from_checkpoint(options.checkpoint, maxlen=384, **common)
    elif name == "choice":
        rows, _ = choices(options.data)
        task = MultipleChoice.from_checkpoint(options.checkpoint, maxlen=256, **common)
    else:
        return TextMatcher.from_checkpoint(options.checkpoint, **common)
    task.fit(rows[: options.learn], epochs=3, verbose=0)
    return task


def asked(name: str, texts: list[str], options: argparse.Namespace) -> list[Any]:
    """Return what a task is asked: texts, pairs of them, or questions about them."""
    if name == "reader":
        return [(text, "这段话说的是什么？") for text in texts]
    if name == "choice":
        return [(text, "说话的人怎么样？", ["很高兴", "不太满意", "没有说"]) for text in texts]
    return list(zip(texts, texts[1:] + texts[:1], strict=True)) if name == "matcher" else texts


def predict(options: argparse.Namespace) -> None:
    """Compare predict of each task with its bare model."""
    rows = [max(map(str, row), key=len) for row in read_rows(options.texts)]
    texts = [rows[number % len(rows)] for number in range(options.count)]
    print("| task | texts/s | bare model, texts/s | time / bare model |\n| --- | --- | --- | --- |")
    for name in options.tasks:
        task = trained(name, options)
        given = asked(name, texts[: options.count // SLOWER.get(name, 1)], options)
        holder = task.encoder if name == "matcher" else task
        holder._compiled = recorded = Recorded(holder._compiled)
        task.predict(given)  # all shapes are met once
        holder._compiled = recorded.run

        def bare(run: Any = recorded.run, batches: Any = recorded.batches) -> None:
            for arrays in batches:
                run(arrays)

        pairs = []
        for _ in range(options.rounds):
            ours, _ = timed(lambda task=task, given=given: task.predict(given, progress=True))
            pairs.append((ours, timed(bare)[0]))
        own, alone = (len(given) / statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(ours / theirs for ours, theirs in pairs)
        print(f"| {name} | {own:.0f} | {alone:.0f} | {ratio:.3f} |", flush=True)
    print(f"on {keras.backend.backend()}, medians of {options.rounds} rounds")


def labelled(path: str, columns: list[str]) -> list[tuple[str, str]]:
    """Return the (text, label) rows of a file, whose objects have them under two names."""
    rows = list(read_rows(path))
    return [(row[columns[0]], str(row[columns[1]])) if isinstance(row, dict) else (row[0], str(row[1])) for row in rows]


def fit(options: argparse.Namespace) -> None:
    """Compare fit with transformers."""
    train, test = (labelled(path, options.columns) for path in (options.train, options.test))
    train, labels = train[: options.rows], sorted({label for _, label in train})
    epochs, size, rate = options.epochs, options.batch_size, options.learning_rate
    result: dict[str, list[tuple[float, float]]] = {"ours": [], "transformers": []}
    for seed in range(options.rounds):
        keras.utils.set_random_seed(seed)
        task = TextClassifier.from_checkpoint(
            options.checkpoint, labels=labels, pooling="mean", prefix=options.prefix, maxlen=options.maxlen
        )
        theirs = Theirs(options.checkpoint, task, train, seed)
        arguments = {"epochs": epochs, "batch_size": size, "learning_rate": rate, "verbose": 0}
        seconds, _ = timed(lambda task=task, arguments=arguments: task.fit(train, **arguments))
        result["ours"].append((seconds / epochs, task.evaluate(test).score))
        seconds, _ = timed(lambda theirs=theirs: theirs.fit(epochs, size, rate))
        result["transformers"].append((seconds / epochs, theirs.accuracy(task, test)))
        own, other = result["ours"][-1], result["transformers"][-1]
        print(
            f"seed {seed}: ours {own[0]:.1f} s, {own[1]:.4f}; transformers {other[0]:.1f} s, {other[1]:.4f}", flush=True
        )
    for name, runs in result.items():
        scores = [score for _, score in runs]
        print(f"{name}: accuracy {np.mean(scores):.4f} ({min(scores):.4f} to {max(scores):.4f})")
    ratios = [own[0] / other[0] for own, other in zip(*result.values(), strict=True)]
    print(f"seconds of an epoch, ours over theirs: median {statistics.median(ratios):.3f}")


class Theirs:
    """Transformers' model with a dense layer on the mean of its states, which starts with the weights of a task's."""

    def __init__(self, folder: str, task: TextClassifier, train: list[tuple[str, str]], seed: int):
        import torch
        from transformers import AutoModel

        torch.manual_seed(seed)
        self.torch, self.random = torch, np.random.default_rng(seed)
        encoder = AutoModel.from_pretrained(folder, dtype=torch.float32)
        layer = next(layer for layer in task.model.layers if layer.name.endswith("Pooled-Classifier"))
        head = torch.nn.Linear(encoder.config.hidden_size, len(task.labels))
        with torch.no_grad():
            kernel, bias = (torch.from_numpy(keras.ops.convert_to_numpy(w).copy()) for w in layer.weights)
            head.weight.copy_(kernel.T)
            head.bias.copy_(bias)
        dropout = torch.nn.Dropout(encoder.config.hidden_dropout_prob)
        self.model = torch.nn.ModuleDict({"encoder": encoder, "dropout": dropout, "head": head})
        self.rows = [(ids, task.labels.index(label)) for ids, label in _encoded(task, train)]

    def batch(self, rows: list[Any]) -> tuple[dict[str, Any], Any]:
        """Return the arguments of the model, and labels."""
        longest = max(len(ids) for ids, _ in rows)
        ids = np.zeros((len(rows), longest), "int64")
        mask = np.zeros((len(rows), longest), "int64")
        for number, (own, _) in enumerate(rows):
            ids[number, : len(own)], mask[number, : len(own)] = own, 1
        tensor = self.torch.from_numpy
        return {"input_ids": tensor(ids), "attention_mask": tensor(mask)}, tensor(np.array([y for _, y in rows]))

    def scores(self, inputs: dict[str, Any]) -> Any:
        """Return the (B, labels) scores of a batch."""
        states, mask = self.model["encoder"](**inputs).last_hidden_state, inputs["attention_mask"][..., None]
        return self.model["head"](self.model["dropout"]((states * mask).sum(1) / mask.sum(1)))

    def fit(self, epochs: int, size: int, rate: float) -> None:
        """Train as `Task.fit` does: warm-up over a tenth, then down to 0 in a line; no decay of biases and norms."""
        from transformers import get_linear_schedule_with_warmup

        plain = ("bias", "LayerNorm")
        groups: list[dict[str, Any]] = [{"params": [], "weight_decay": 0.01}, {"params": [], "weight_decay": 0.0}]
        for name, parameter in self.model.named_parameters():
            groups[any(part in name for part in plain)]["params"].append(parameter)
        optimizer = self.torch.optim.AdamW(groups, lr=rate, eps=1e-6)  # as here
        steps = epochs * -(-len(self.rows) // size)
        schedule = get_linear_schedule_with_warmup(optimizer, steps // 10, steps)
        self.model.train()
        for _ in range(epochs):
            order = self.random.permutation(len(self.rows))
            for start in range(0, len(order), size * 20):  # windows of 20 batches, sorted by length
                window = sorted(order[start : start + size * 20], key=lambda place: len(self.rows[place][0]))
                # In any order: from the shortest to the longest, twenty updates learn less. A rest comes last.
                whole = len(window) // size * size
                for first in [*self.random.permutation(range(0, whole, size)), *range(whole, len(window), size)]:
                    inputs, labels = self.batch([self.rows[place] for place in window[first : first + size]])
                    self.torch.nn.functional.cross_entropy(self.scores(inputs), labels).backward()
                    optimizer.step()
                    schedule.step()
                    optimizer.zero_grad()

    def accuracy(self, task: TextClassifier, test: list[tuple[str, str]]) -> float:
        """Return the share of right labels."""
        self.model.eval()
        rows = [(ids, task.labels.index(label)) for ids, label in _encoded(task, test)]
        right = 0
        with self.torch.inference_mode():
            for start in range(0, len(rows), 64):
                inputs, labels = self.batch(rows[start : start + 64])
                right += int((self.scores(inputs).argmax(-1) == labels).sum())
        return right / len(rows)


def _encoded(task: TextClassifier, rows: list[tuple[str, str]]) -> Any:
    ids = (own for own, _ in task.encoded([text for text, _ in rows]))
    return zip(ids, (label for _, label in rows), strict=True)


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["predict", "fit"])
    parser.add_argument("--checkpoint", default="tiny-zh")
    parser.add_argument("--prefix", default="")
    parser.add_argument("--texts", help="file of texts, for predict")
    parser.add_argument("--data", type=Path, help="folder of data sets, for predict")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS, help="some of the tasks, for predict")
    parser.add_argument("--learn", type=int, default=1000, help="rows that they learn from")
    parser.add_argument("--train", help="rows (text, label), for fit")
    parser.add_argument("--test")
    parser.add_argument("--columns", nargs=2, default=["sentence", "label"], help="of JSON files: text and label")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--maxlen", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    (predict if options.what == "predict" else fit)(options)


if __name__ == "__main__":
    main()
