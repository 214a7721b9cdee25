"""What the experiments of this folder share: characters of texts, batches, training of small models, tables."""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.backend import keras
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import Adam

SAMPLES = Path(__file__).parent.parent / "samples"
PAD, UNKNOWN, MASK, FIRST = 0, 1, 2, 3  # ids, and that of the first character


def arguments(doc: str, **defaults: Any) -> argparse.Namespace:
    """Return the arguments of an experiment: each default becomes an option, besides those that all have."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", nargs="*", default=None, help="text files, plain or .gz; if none, the sample texts")
    parser.add_argument("--out", default=None, help="a folder for the figures as JSON, and the picture")
    parser.add_argument("--batch", type=int, default=32, help="rows of a training step")
    parser.add_argument("--precision", default="float32", help="policy of Keras, such as mixed_bfloat16")
    for name, value in defaults.items():
        many = isinstance(value, list)
        parser.add_argument(
            f"--{name}", type=type(value[0] if many else value), default=value, nargs="*" if many else None
        )
    options = parser.parse_args()
    keras.config.set_dtype_policy(options.precision)
    return options


def read_characters(paths: list[str] | None, most: int = 4_000_000) -> str:
    """Return the texts of files one after the other, at most so many characters."""
    found = (
        [Path(path) for path in paths] if paths else sorted(SAMPLES.rglob("*.tsv")) + sorted(SAMPLES.rglob("*.json"))
    )
    parts = []
    for path in found:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
            parts.append(file.read(most))
    return "\n".join(parts)[:most]


class Characters:
    """Ids of a text's characters, the last tenth of them held out.

    Args:
        text: what to learn and to measure on.
        size: of the vocabulary, the rarest characters beyond it being unknown.
    """

    def __init__(self, text: str, size: int = 2000):
        known = [c for c, _ in Counter(text).most_common(size - FIRST)]
        ids = {c: k + FIRST for k, c in enumerate(known)}
        array = np.array([ids.get(c, UNKNOWN) for c in text], "int32")
        border = len(array) * 9 // 10
        self.size, self.train, self.held_out = len(known) + FIRST, array[:border], array[border:]

    def rows(self, random: np.random.Generator, count: int, length: int, held_out: bool = False) -> np.ndarray:
        """Return (count, length) ids from random places."""
        array = self.held_out if held_out else self.train
        if len(array) <= length:
            raise ValueError(f"{len(array)} characters are too few for texts of {length}: give more with --texts")
        starts = random.integers(0, len(array) - length, count)
        return np.stack([array[start : start + length] for start in starts])


def masked(rows: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return ids of which 15 % are hidden, and where: 80 % by the mask, 10 % by others, 10 % left as they are."""
    chosen, kind = random.random(rows.shape) < 0.15, random.random(rows.shape)
    other = random.integers(FIRST, max(rows.max(), FIRST) + 1, rows.shape)
    ids = np.where(chosen & (kind < 0.8), MASK, np.where(chosen & (kind > 0.9), other, rows))
    return ids.astype("int32"), chosen


def build(vocabulary: int, **options: Any) -> Any:
    """Return a small model that ends in scores of tokens."""
    sizes = {
        "vocab_size": vocabulary,
        "hidden_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 512,
        "segment_vocab_size": 0,
        "final_activation": "linear",
    }
    head = {} if options.get("application") == "lm" else {"with_mlm": "linear"}
    return build_transformer_model(**{**sizes, **head, **options})


def train(
    model: Any, data: Characters, steps: int, length: int, seed: int, causal: bool, batch: int = 32, rate: float = 1e-3,
    warmup: int = 100, losses: list[float] | None = None,
) -> float:  # fmt: skip
    """Train a model on random places of the texts and return the seconds that a step took, the first ones left out.

    Blocks that normalise after the residual sum need some steps of warm-up. The loss of each step, for a token that
    counts, is appended to `losses`.
    """
    random = np.random.default_rng(seed)
    model.compile(Adam(rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    times = []
    for step in range(steps):
        model.optimizer.learning_rate.assign(rate * min(1.0, (step + 1) / max(warmup, 1)))
        rows = data.rows(random, batch, length + causal)
        if causal:
            ids, labels, weights = rows[:, :-1], rows[:, 1:], None
        else:
            (ids, chosen), labels = masked(rows, random), rows
            weights = chosen.astype("float32")
        before = time.perf_counter()
        loss = model.train_on_batch(ids, labels, sample_weight=weights)
        times.append(time.perf_counter() - before)
        if losses is not None:
            losses.append(float(loss) / (1.0 if weights is None else float(weights.mean())))
    return float(np.median(times[min(5, steps - 1) :]))


def right(model: Any, ids: np.ndarray, labels: np.ndarray, counted: np.ndarray | None = None) -> float:
    """Return how many percent of the counted labels are the likeliest token."""
    scores = np.concatenate([model.predict_on_batch(ids[k : k + 4]) for k in range(0, len(ids), 4)])
    hits = scores.argmax(-1) == labels
    return 100 * float(hits.mean() if counted is None else hits[counted].mean())


def table(header: list[str], rows: list[list[Any]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def spread(values: list[float], digits: int = 2) -> str:
    """Return the mean of several seeds and half their range."""
    half = (max(values) - min(values)) / 2
    return f"{np.mean(values):.{digits}f}" + (f" ± {half:.{digits}f}" if len(values) > 1 else "")


def write(out: str | None, name: str, figures: Any) -> None:
    """Write figures as JSON into the folder, where one was given."""
    if out is not None:
        Path(out).mkdir(parents=True, exist_ok=True)
        (Path(out) / f"{name}.json").write_text(json.dumps(figures, indent=1, ensure_ascii=False), encoding="utf-8")


def picture(
    out: str | None, name: str, curves: dict[str, dict[int, float]], x: str, y: str, logarithmic: bool = True
) -> None:
    """Draw curves {label: {x: y}}, over a logarithmic axis if asked for, where there are a folder and matplotlib."""
    if out is None:
        return
    try:
        import matplotlib
    except ImportError:
        print("no picture: pip install matplotlib")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    for label, values in curves.items():
        axes.plot(list(values), list(values.values()), marker="o" if logarithmic else None, label=label)
    if logarithmic:
        axes.set_xscale("log", base=2)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(Path(out) / f"{name}.png", dpi=120)
    pyplot.close(figure)
