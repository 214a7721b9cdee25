"""What is asked of a row's fields, with messages that name the place, the task, and the task it may be of instead."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bert4keras2.clue.lines import Place
from bert4keras2.clue.task import Task

__all__ = ["check_lines", "label_of", "needed", "problem_of", "row_id", "text_of"]

# By what fields the tasks' rows are recognised, the most telling first.
_LOOKS = (
    (("content", "candidates"), "chid"),
    (("abst", "keyword"), "csl"),
    (("target", "text"), "wsc (cluewsc)"),
    (("sentence1", "sentence2"), "afqmc, cmnli, ocnli or bustm"),
    (("sentence",), "iflytek, tnews or eprstmt"),
    (("content",), "csldcp"),
    (("text",), "cluener"),
    (("data",), "cmrc2018"),
    (("paragraphs",), "cmrc2018"),
)
_IDS = ("id", "idx", "ID")
UNDECIDED = "-"  # the annotators of an inference task did not agree


def needed(row: dict[str, Any], fields: Sequence[str], task: Task, place: Place) -> None:
    """Raise a ValueError if a row lacks fields of the task."""
    missing = [field for field in fields if field not in row]
    if not missing:
        return
    looks = next((name for signs, name in _LOOKS if all(sign in row for sign in signs)), None)
    hint = f"; it looks like a row of {looks}" if looks and task.name not in looks else ""
    there = ", ".join(map(str, row)) or "nothing"
    raise ValueError(f"{place} is no {task.name} row: {', '.join(missing)} is missing, it has {there}{hint}")


def text_of(row: dict[str, Any], field: str, place: Place) -> str:
    """Return a field that is to be a text."""
    if not isinstance(row[field], str):
        raise ValueError(f"{place}: {field} is to be a text, but is {row[field]!r}"[:300])
    return row[field]


def row_id(row: dict[str, Any], number: int) -> str:
    """Return what a file calls a row, the row's number if it does not say."""
    return next((str(row[name]) for name in _IDS if row.get(name) is not None), str(number))


def label_of(row: dict[str, Any], task: Task, place: Place) -> str | None:
    """Return a row's label as the table of labels has it, None if there is none, "-" if nobody could decide.

    Numbers and truth values become texts: files in circulation have both.
    """
    value = row.get("label")
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    label = str(value)
    if label == UNDECIDED and "neutral" in task.labels:
        return label
    try:
        task.check_label(label)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    return label


def problem_of(content: str, kind: type) -> tuple[Any, list[str]]:
    """Return the JSON value of a predict file, or what keeps it from being one."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        return None, [f"it is no JSON ({error})"]
    if not isinstance(value, kind):
        return None, [f"it is to be one JSON object, but is a {type(value).__name__}"]
    return value, []


def check_lines(
    task: Task, rows: Sequence[Any] | None, content: str, field: str
) -> tuple[list[tuple[int, dict[str, Any], Any]], list[str]]:
    """Return (line, object, row of the test set) of a predict file's lines that can be compared, and what is wrong.

    Args:
        task: the task.
        rows: of the test file, None if it is not at hand.
        content: of the predict file.
        field: what each line must have beside its id.
    """
    problems: list[str] = []
    found: list[tuple[int, dict[str, Any]]] = []
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.append(f"line {number} is no JSON object ({error})")
            continue
        if not isinstance(value, dict) or field not in value:
            problems.append(f"line {number} has no {field}")
        else:
            found.append((number, value))
    if rows is None:
        return [(number, value, None) for number, value in found], problems
    if len(found) != len(rows) and not problems:
        problems.append(f"it has {len(found)} rows, the test file has {len(rows)}")
    compared = []
    for (number, value), row in zip(found, rows, strict=False):
        if "id" not in value and task.name == "cluener":
            value = {**value, "id": row.id}  # cluener's test file has been around without ids
        if str(value.get("id")) != row.id:
            problems.append(
                f"line {number} has the id {value.get('id')}, the test file has {row.id} there: the order is the test"
                " file's"
            )
            break
        compared.append((number, value, row))
    return compared, problems
