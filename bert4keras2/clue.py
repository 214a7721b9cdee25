"""CLUE tasks: label sets, readers of the files as they are published, writers of the files the leaderboard takes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

from bert4keras2.files import atomic_path

__all__ = ["TNEWS_LABELS", "find_split", "read_jsonl", "read_tnews", "write_predictions"]

# Class numbers of TNEWS; 105 and 111 do not occur.
TNEWS_LABELS = {
    "100": "故事", "101": "文化", "102": "娱乐", "103": "体育", "104": "财经",
    "106": "房产", "107": "汽车", "108": "教育", "109": "科技", "110": "军事",
    "112": "旅游", "113": "国际", "114": "证券", "115": "农业", "116": "电竞",
}  # fmt: skip

# What the files of a split are called in CLUE and in FewCLUE, in order of preference.
SPLITS = {
    "train": ("train.json", "train_few_all.json", "train_0.json"),
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


def read_jsonl(path: str | os.PathLike) -> list[dict[str, Any]]:
    """Return the objects of a file with one JSON object a line.

    Raises:
        ValueError: for a line that is none, with its number.
    """
    rows = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{os.fspath(path)}, line {number}: not a JSON object ({error})") from error
            rows.append(row)
    return rows


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


def write_predictions(path: str | os.PathLike, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line, as the leaderboard takes it; the file appears whole or not at all."""
    with atomic_path(path) as partial, open(partial, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
