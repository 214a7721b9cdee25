"""Tasks beside the bare model, and beside transformers with PyTorch: the same encoder, rows, batches and rates.

    KERAS_BACKEND=tensorflow python tests/benchmarks/bench_tasks.py predict --checkpoint FOLDER --texts FILE
    KERAS_BACKEND=torch python tests/benchmarks/bench_tasks.py fit --checkpoint FOLDER --train FILE --test FILE

`predict`: `TextClassifier.predict` of 10,000 texts of mixed length, tokenization and objects included, over the
compiled model on the same batches of ids. `fit`: accuracy and seconds of an epoch of `TextClassifier.fit`, and of a
loop of PyTorch over transformers' model of the same folder with the same head, with AdamW, a linear schedule, dropout,
rows sorted into batches of similar length and padded to their longest; their texts are tokenized beforehand, by our
tokenizer, outside of what is timed. Rounds take turns; ratios are taken round by round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

from bert4keras2.tasks import TextClassifier, read_rows


def timed(function: Any) -> tuple[float, Any]:
    """Return the seconds that a call took, and what it returned."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def predict(options: argparse.Namespace) -> None:
    """Compare predict with the bare model."""
    rows = [max(map(str, row), key=len) for row in read_rows(options.texts)]
    texts = [rows[number % len(rows)] for number in range(options.count)]
    task = TextClassifier.from_checkpoint(options.checkpoint, labels=["0", "1"], pooling="mean", prefix=options.prefix)
    ids, segments = task.encode(texts)
    batches = [arrays for _, arrays in task._cutter.cut(ids, segments, task.batch_size, task._compiled.by_shape)]

    def bare() -> None:
        for arrays in batches:
            task._compiled(arrays)

    bare()
    ratios = []
    for _ in range(options.rounds):
        ours, _ = timed(lambda: task.predict(texts, progress=True))
        theirs, _ = timed(bare)
        ratios.append(ours / theirs)
        print(f"predict {ours:.2f} s ({len(texts) / ours:.0f} texts/s), bare model {theirs:.2f} s: {ratios[-1]:.3f}")
    print(f"median ratio {statistics.median(ratios):.3f} on {keras.backend.backend()}")


def fit(options: argparse.Namespace) -> None:
    """Compare fit with transformers."""
    train, test = ([(text, str(label)) for text, label in read_rows(path)] for path in (options.train, options.test))
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
        optimizer = self.torch.optim.AdamW(groups, lr=rate)
        steps = epochs * -(-len(self.rows) // size)
        schedule = get_linear_schedule_with_warmup(optimizer, steps // 10, steps)
        self.model.train()
        for _ in range(epochs):
            order = self.random.permutation(len(self.rows))
            for start in range(0, len(order), size * 20):  # windows of 20 batches, sorted by length
                window = sorted(order[start : start + size * 20], key=lambda place: len(self.rows[place][0]))
                for first in range(0, len(window), size):
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
    parser.add_argument("--train", help="rows (text, label), for fit")
    parser.add_argument("--test")
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
