"""C3: questions with several choices about dialogues and texts (Sun et al., arXiv 1904.09679)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bert4keras2.clue.fields import check_lines, needed
from bert4keras2.clue.lines import Place, dump_lines, read_value
from bert4keras2.clue.rows import Choice
from bert4keras2.clue.task import Kind, Task
from bert4keras2.metrics import accuracy

__all__ = ["CHOICE"]


def _read(task: Task, path: str) -> list[Choice]:
    """Each item is [lines of the passage, [questions], name of the passage]."""
    content = read_value(path)
    if not isinstance(content, list):
        raise ValueError(f"{path} is no c3 file, which is a list of [passage, questions, id]")
    rows: list[Choice] = []
    for group, item in enumerate(content):
        place = Place(path, group + 1, "item")
        whole = isinstance(item, list) and len(item) >= 2 and all(isinstance(part, list) for part in item[:2])
        if not whole or not all(isinstance(line, str) for line in item[0]):
            raise ValueError(f"{place} is no [lines of a passage, questions, id]: {str(item)[:200]}")
        for question in item[1]:
            if not isinstance(question, dict):
                raise ValueError(f"{place}: a question is to be an object, but is {question!r}"[:300])
            needed(question, task.fields, task, place)
            choices, text = question["choice"], question["question"]
            if not isinstance(text, str):
                raise ValueError(f"{place}: question is to be a text, but is {text!r}"[:300])
            if not isinstance(choices, list) or not all(isinstance(c, str) for c in choices) or len(choices) < 2:
                raise ValueError(f"{place}: choice is to be a list of two texts or more, but is {choices!r}"[:300])
            answer = question.get("answer")
            if answer not in (None, "") and answer not in choices:
                raise ValueError(f"{place}: the answer {answer!r} to {text!r} is none of the choices {choices}")
            number = choices.index(answer) if answer not in (None, "") else None
            name = str(question.get("id", len(rows)))
            rows.append(Choice(name, tuple(item[0]), text, tuple(choices), number, group))
    return rows


def _score(task: Task, rows: Sequence[Choice], predictions: Sequence[int]) -> dict[str, Any]:
    share = accuracy([row.answer for row in rows], [int(answer) for answer in predictions])
    return {"score": share, "accuracy": share}


def _render(task: Task, rows: Sequence[Choice], predictions: Sequence[int]) -> str:
    lines = []
    for row, answer in zip(rows, predictions, strict=True):
        if not 0 <= int(answer) < 4:
            raise ValueError(f"the answer {answer} to question {row.id} is to be the number of a choice, 0 to 3")
        lines.append({"id": row.id, "label": str(int(answer))})
    return dump_lines(lines)


def _check(task: Task, rows: Sequence[Choice] | None, content: str) -> list[str]:
    lines, problems = check_lines(task, rows, content, "label")
    for number, value, row in lines:
        if value["label"] not in ("0", "1", "2", "3"):
            problems.append(f"line {number}: the label is to be '0', '1', '2' or '3', but is {value['label']!r}")
        elif row is not None and int(value["label"]) >= len(row.choices):
            problems.append(f"line {number}: question {row.id} has only {len(row.choices)} choices")
    return problems


CHOICE = Kind(_read, _score, _render, _check, "answer")
