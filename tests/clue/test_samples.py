"""The samples beside the examples: in the official formats, of the sizes that their README tells, fit for learning."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from bert4keras2.clue import CLUE, FEWCLUE, check_zip, decode_idioms, zip_predictions

SAMPLES = Path(__file__).parents[2] / "examples" / "samples" / "clue"
README = (SAMPLES.parent / "README.md").read_text(encoding="utf-8")
SIZES = {
    "iflytek": (72, 24, 24), "tnews": (120, 32, 32), "afqmc": (80, 24, 24), "cmnli": (90, 30, 30),
    "ocnli": (90, 30, 30), "wsc": (40, 16, 16), "csl": (40, 16, 16), "cmrc2018": (60, 18, 18), "c3": (30, 10, 10),
    "chid": (40, 12, 12), "cluener": (100, 30, 30),
}  # fmt: skip


def text_of(row) -> str:
    """Return what may not be in two splits at once."""
    for name in ("text", "first", "context", "passage"):
        if hasattr(row, name):
            return str(getattr(row, name))
    return row.before + row.candidates[row.answer or 0] + row.after


@pytest.mark.parametrize("name", CLUE)
def test_samples(name):
    task = CLUE[name]
    train, valid, test = (task.load(SAMPLES / name, split) for split in ("train", "valid", "test"))
    assert tuple(map(len, (train, valid, test))) == SIZES[name]
    assert all(map(task.has_target, train + valid)) and not any(map(task.has_target, test))
    texts = [{text_of(row) for row in rows} for rows in (train, valid, test)]
    assert not texts[0] & texts[1] and not texts[1] & texts[2] and not texts[0] & texts[2]
    if name == "cluener":
        for rows in (train, valid):
            assert {kind for row in rows for *_, kind in row.spans} == set(task.labels)
    elif name == "chid":
        assert {row.candidates[row.answer] for row in valid} <= {row.candidates[row.answer] for row in train}
    elif name == "cmrc2018":
        assert all(answer.start is not None for row in train + valid for answer in row.answers)
    elif name == "c3":
        assert max(Counter(row.answer for row in train).values()) <= len(train) / 2
    else:
        for rows in (train, valid):  # balanced
            counts = Counter(row.label for row in rows)
            assert len(set(counts.values())) == 1 and set(counts) <= set(task.labels)


@pytest.mark.parametrize("name", FEWCLUE)
def test_fewclue_samples(name):
    """Few rows of all classes in each split, and no text in two of them."""
    task, folder = FEWCLUE[name], SAMPLES.parent / "fewclue" / name
    parts = [task.load(folder, split) for split in ("train", "valid", "test_public")]
    assert all(map(task.has_target, sum(parts, []))) and all(12 <= len(rows) <= 80 for rows in parts)
    texts = [{text_of(row) for row in rows} for rows in parts]
    assert not texts[0] & texts[2] and not texts[1] & texts[2]
    if name != "chid":
        assert len({frozenset(row.label for row in rows) for rows in parts}) == 1
    said = re.search(rf"^\| `fewclue/{name}` .*\| (\d+) / (\d+) / (\d+) \|$", README, re.M)
    assert tuple(map(int, said.groups())) == tuple(map(len, parts))


def test_the_readme_counts_right():
    said = re.findall(r"^\| `clue/(\w+)` .*\| (\d+) / (\d+) / (\d+) \|$", README, re.M)
    assert {name: tuple(map(int, sizes)) for name, *sizes in said} == SIZES


def test_all_tasks_to_the_zip(tmp_path):
    first = {"label": lambda task, row: next(iter(task.labels)), "answers": lambda task, row: row.context[:2]}
    first |= {"spans": lambda task, row: [(0, 1, "name")], "answer": lambda task, row: 1}
    for name, task in CLUE.items():
        rows = task.load(SAMPLES / name, "test")
        predictions = [first[task.kind.target](task, row) for row in rows]
        if name == "chid":
            predictions = decode_idioms(rows, [[float(i == 1) for i in range(10)] for _ in rows])
            assert len(set(predictions[:4])) == 4
        task.write(tmp_path, rows, predictions)
    report = check_zip(zip_predictions(tmp_path), SAMPLES)
    assert report.ok and len(report.files) == 11, report
