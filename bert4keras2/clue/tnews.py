"""The reader of TNEWS that gives class numbers, and the search for a split under the names of both benchmarks."""

from __future__ import annotations

import os

from bert4keras2.clue.labels import TNEWS_LABELS
from bert4keras2.clue.lines import read_jsonl

__all__ = ["find_split", "read_tnews"]

# What the files of a split are called in CLUE and in FewCLUE, in order of preference.
SPLITS = {
    "train": ("train.json", "train_few_all.json", "train_0.json", "train.50k.json"),
    "valid": ("dev.json", "dev_few_all.json", "dev_0.json"),
    "test": ("test.json", "test1.1.json", "test_public.json", "test1.0.json"),
}


def find_split(folder: str | os.PathLike, split: str) -> str:
    """Return the path of a split ("train", "valid" or "test") in a task's folder.

    Raises:
        FileNotFoundError: if the folder has none of the usual names.
    """
    folder = os.fspath(folder)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"There is no data folder {folder}")
    for name in SPLITS[split]:
        if os.path.isfile(os.path.join(folder, name)):
            return os.path.join(folder, name)
    raise FileNotFoundError(f"{folder} has no {split} file: looked for {', '.join(SPLITS[split])}")


def read_tnews(path: str | os.PathLike) -> list[tuple[str, int, str]]:
    """Return (sentence, class index, id) of a TNEWS file; rows without a label (the test set) get class index 0.

    Raises:
        ValueError: for a row without a sentence or with an unknown label.
    """
    index = {label: i for i, label in enumerate(TNEWS_LABELS)}
    samples = []
    for number, row in enumerate(read_jsonl(path)):
        label = str(row.get("label", next(iter(index))))
        if "sentence" not in row or label not in index:
            raise ValueError(
                f"{os.fspath(path)}, row {number + 1} is no TNEWS row (sentence, label 100 to 116): {row!r}"
            )
        samples.append((row["sentence"], index[label], str(row.get("id", number))))
    return samples
