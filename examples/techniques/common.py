"""What the rows of the evidence table share: how a row is described, its data, its clock."""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.backend import keras

ROWS = {}  # name: Row, in the order of the table


@dataclass(frozen=True)
class Settings:
    """What a run is told.

    Attributes:
        data: folder of the data sets, as `--data` of run.py describes it.
        checkpoint: folder or name of the model.
        prefix: put before each text.
        limit: rows of each split that are used at most; None for all.
        seed: of this run.
    """

    data: Path
    checkpoint: str = "tiny-zh"
    prefix: str = ""
    limit: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        task: what is measured, with its measure: "STS-B, Spearman".
        technique: what is tried.
        run: from settings to {"score": ..., "step_ms": ...}; further numbers are kept in the results file.
        baseline: technique of the row of the same task that this one is compared with; None for the baseline itself.
        seeds: how many runs; None for as many as asked, 1 where nothing depends on chance.
    """

    task: str
    technique: str
    run: Callable[[Settings], dict]
    baseline: str | None = None
    seeds: int | None = None

    @property
    def name(self):
        """What the results file calls it."""
        return f"{self.task} / {self.technique}"


def register(*rows):
    """Add rows to the table; a file of rows calls it when it is imported."""
    for row in rows:
        if row.name in ROWS:
            raise ValueError(f"the table has two rows {row.name!r}")
        ROWS[row.name] = row


class Clock(keras.callbacks.Callback):
    """The median time that training steps keep processors busy, without the first ones, which compile.

    Runs of hours share their machine; the time on the wall would tell of its other work.
    """

    def __init__(self):
        super().__init__()
        self._times = []

    def on_train_batch_begin(self, batch, logs=None):
        self._start = time.process_time()

    def on_train_batch_end(self, batch, logs=None):
        self._times.append(time.process_time() - self._start)

    @property
    def milliseconds(self):
        """The median in milliseconds, None before the first step."""
        return 1000 * statistics.median(self._times[3:] or self._times) if self._times else None


def json_lines(settings, *path):
    """Return the rows of a file with a JSON object on each line."""
    lines = settings.data.joinpath(*path).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()][: settings.limit]


def table(settings, *path, header=False):
    """Return the cells of a file with tabs."""
    lines = settings.data.joinpath(*path).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines[int(header) :] if line.strip()][: settings.limit]


def pairs(settings, name, split):
    """Return (text, second text, grade) of a data set of pairs, for "train" or "test"."""
    if name == "STS-B":
        rows = table(settings, "similarity", name, f"sts-b-{split}.txt")
    elif name == "LCQMC":  # its training set is too large to be handed around
        rows = table(settings, "similarity", name, {"train": "dev.txt", "test": "test.txt"}[split])
    elif name == "PAWS-X":
        path = {"train": "dev_2k.tsv", "test": "test_2k.tsv"}[split]
        rows = [row[1:] for row in table(settings, "similarity", "PAWSX", path, header=True)]
    else:
        files = {
            "BUSTM": ("fewclue", "bustm", {"train": "train_few_all.json", "test": "test_public.json"}[split]),
            "AFQMC": ("clue", "afqmc", {"train": "train.json", "test": "dev.json"}[split]),
        }
        rows = [(row["sentence1"], row["sentence2"], row["label"]) for row in json_lines(settings, *files[name])]
    return [(row[0], row[1], float(row[2])) for row in rows]
