"""Tasks whose rows get one of some labels: texts, pairs, pronouns, keywords."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bert4keras2.clue.fields import UNDECIDED, check_lines, label_of, needed, row_id, text_of
from bert4keras2.clue.lines import Place, dump_lines, numbered
from bert4keras2.clue.rows import Keywords, Pair, Pronoun, Text
from bert4keras2.clue.task import Kind, Task
from bert4keras2.metrics import accuracy

__all__ = ["KEYWORDS", "PAIR", "PRONOUN", "TEXT"]

Make = Callable[[Task, dict[str, Any], str, "str | None", Place], Any]


def _reader(make: Make) -> Callable[[Task, str], list[Any]]:
    def read(task: Task, path: str) -> list[Any]:
        rows = []
        for position, (line, row) in enumerate(numbered(path)):
            place = Place(path, line)
            needed(row, task.fields, task, place)
            label = label_of(row, task, place)
            if label != UNDECIDED:
                rows.append(make(task, row, row_id(row, position), label, place))
        return rows

    return read


def _text(task: Task, row: dict[str, Any], name: str, label: str | None, place: Place) -> Text:
    return Text(name, text_of(row, task.fields[0], place), label)


def _pair(task: Task, row: dict[str, Any], name: str, label: str | None, place: Place) -> Pair:
    first, second = (text_of(row, field, place) for field in task.fields)
    return Pair(name, first, second, label)


def _keywords(task: Task, row: dict[str, Any], name: str, label: str | None, place: Place) -> Keywords:
    words = row["keyword"]
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError(f"{place}: keyword is to be a list of texts, but is {words!r}"[:300])
    return Keywords(name, text_of(row, "abst", place), tuple(words), label)


def _pronoun(task: Task, row: dict[str, Any], name: str, label: str | None, place: Place) -> Pronoun:
    text, target = text_of(row, "text", place), row["target"]
    if not isinstance(target, dict):
        raise ValueError(f"{place}: target is to be an object with span1_text, span1_index, ..., but is {target!r}")
    spans = []
    for number in (1, 2):
        needed(target, [f"span{number}_text", f"span{number}_index"], task, place)
        word, start = target[f"span{number}_text"], target[f"span{number}_index"]
        if not isinstance(word, str) or type(start) is not int or start < 0 or not text.startswith(word, start):
            raise ValueError(f"{place}: span{number}, {word!r}, does not stand at {start!r} of the text {text!r}")
        spans.append((start, start + len(word)))
    return Pronoun(name, text, spans[0], spans[1], label)


def _score(task: Task, rows: Sequence[Any], predictions: Sequence[str]) -> dict[str, Any]:
    share = accuracy([row.label for row in rows], [_checked(task, label) for label in predictions])
    return {"score": share, "accuracy": share}


def _checked(task: Task, label: Any) -> str:
    task.check_label(label)
    return label


def _render(task: Task, rows: Sequence[Any], predictions: Sequence[str]) -> str:
    return dump_lines(
        {"id": task.written_id(row), "label": _checked(task, label)}
        for row, label in zip(rows, predictions, strict=True)
    )


def _check(task: Task, rows: Sequence[Any] | None, content: str) -> list[str]:
    lines, problems = check_lines(task, rows, content, "label")
    for number, value, _ in lines:
        if not isinstance(value["label"], str) or value["label"] not in task.labels:
            problems.append(f"line {number}: {value['label']!r} is no label of {task.name}")
    return problems


TEXT, PAIR, PRONOUN, KEYWORDS = (
    Kind(_reader(make), _score, _render, _check, "label") for make in (_text, _pair, _pronoun, _keywords)
)
