"""ChID: blanks that idioms fill (Zheng et al., arXiv 1906.01265), in the files of CLUE and of FewCLUE."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from bert4keras2.clue.assignment import best_assignment
from bert4keras2.clue.fields import check_lines, needed, problem_of, row_id
from bert4keras2.clue.lines import Place, dump_lines, numbered, read_value
from bert4keras2.clue.rows import Blank
from bert4keras2.clue.task import Kind, Task
from bert4keras2.metrics import accuracy

__all__ = ["BLANK", "IDIOM", "IDIOM_FEW", "decode_idioms"]

BLANK = "#idiom#"  # what stands for the other blanks of a text
_MARK = re.compile(r"#idiom\d*#")


def decode_idioms(rows: Sequence[Blank], scores: Sequence[Sequence[float]] | np.ndarray) -> list[int]:
    """Return the idiom of each blank so that those of a line have the highest sum of scores and no idiom comes twice.

    Args:
        rows: N blanks, those of a line next to each other as `read` gives them.
        scores: N rows of one score for each candidate, such as log-probabilities; shape (N, candidates).

    Returns:
        N indices of candidates.

    Raises:
        ValueError: if there is not one score for each candidate of each blank.
    """
    if len(rows) != len(scores):
        raise ValueError(f"{len(scores)} rows of scores for {len(rows)} blanks: give one for each")
    found: list[int] = []
    for _, numbers in groupby(range(len(rows)), key=lambda i: rows[i].group):
        line = list(numbers)
        for i in line:
            if len(scores[i]) != len(rows[i].candidates):
                raise ValueError(
                    f"the blank {rows[i].id} has {len(scores[i])} scores for {len(rows[i].candidates)} candidates"
                )
        found += best_assignment([scores[i] for i in line])
    return found


def _candidates(row: dict[str, Any], place: Place) -> tuple[str, ...]:
    words = row["candidates"]
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise ValueError(f"{place}: candidates is to be a list of idioms, but is {words!r}"[:300])
    return tuple(words)


def _index(value: Any, candidates: tuple[str, ...], name: str, place: Place) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 0 <= value < len(candidates):
        raise ValueError(f"{place}: the answer of {name} is to be 0 to {len(candidates) - 1}, but is {value!r}")
    return value


def _read(task: Task, path: str) -> list[Blank]:
    """Answers stand in a file of their own beside: train.json has train_answer.json; test sets have none."""
    beside = re.sub(r"\.json$", "", path) + "_answer.json"
    answers = read_value(beside) if os.path.isfile(beside) else {}
    if not isinstance(answers, dict):
        raise ValueError(f"{beside} is to be an object with an index for each blank")
    rows: list[Blank] = []
    seen: set[str] = set()
    for group, (line, row) in enumerate(numbered(path)):
        place = Place(path, line)
        needed(row, task.fields, task, place)
        candidates = _candidates(row, place)
        texts = [row["content"]] if isinstance(row["content"], str) else row["content"]
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"{place}: content is to be a list of texts, but is {row['content']!r}"[:300])
        for text in texts:
            for mark in _MARK.finditer(text):
                name = mark[0]
                if name == BLANK or name in seen:
                    why = "has no number" if name == BLANK else "occurs twice"
                    raise ValueError(f"{place}: the blank {name} {why}; is it a file of FewCLUE's chid?")
                if answers and name not in answers:
                    raise ValueError(f"{place}: {beside} has no answer for {name}")
                seen.add(name)
                before, after = (_MARK.sub(BLANK, part) for part in (text[: mark.start()], text[mark.end() :]))
                answer = _index(answers.get(name), candidates, name, place)
                rows.append(Blank(name, before, after, candidates, answer, group))
    return rows


def _read_few(task: Task, path: str) -> list[Blank]:
    rows = []
    for group, (line, row) in enumerate(numbered(path)):
        place = Place(path, line)
        needed(row, task.fields, task, place)
        candidates, text = _candidates(row, place), row["content"]
        if not isinstance(text, str) or text.count(BLANK) != 1:
            raise ValueError(f"{place}: content is to be a text with one {BLANK}, but is {text!r}"[:300])
        name = row_id(row, group)
        before, _, after = text.partition(BLANK)
        rows.append(Blank(name, before, after, candidates, _index(row.get("answer"), candidates, name, place), group))
    return rows


def _score(task: Task, rows: Sequence[Blank], predictions: Sequence[int]) -> dict[str, Any]:
    share = accuracy([row.answer for row in rows], [int(answer) for answer in predictions])
    return {"score": share, "accuracy": share}


def _indices(rows: Sequence[Blank], predictions: Sequence[int]) -> list[int]:
    for row, answer in zip(rows, predictions, strict=True):
        if not 0 <= int(answer) < len(row.candidates):
            raise ValueError(f"the answer {answer} for {row.id} is to be 0 to {len(row.candidates) - 1}")
    return [int(answer) for answer in predictions]


def _render(task: Task, rows: Sequence[Blank], predictions: Sequence[int]) -> str:
    found = dict(zip((row.id for row in rows), _indices(rows, predictions), strict=True))
    return json.dumps(found, ensure_ascii=False, indent=4) + "\n"


def _render_few(task: Task, rows: Sequence[Blank], predictions: Sequence[int]) -> str:
    answers = zip(rows, _indices(rows, predictions), strict=True)
    return dump_lines({"id": task.written_id(row), "answer": answer} for row, answer in answers)


def _check(task: Task, rows: Sequence[Blank] | None, content: str) -> list[str]:
    found, problems = problem_of(content, dict)
    if problems:
        return problems
    sizes = dict.fromkeys(found, 10) if rows is None else {row.id: len(row.candidates) for row in rows}
    if missing := [name for name in sizes if name not in found]:
        problems.append(f"{len(missing)} of {len(sizes)} blanks are missing, such as {missing[0]}")
    for name, answer in found.items():
        if name not in sizes:
            problems.append(f"the test file has no blank {name}")
        elif type(answer) is not int or not 0 <= answer < sizes[name]:
            problems.append(f"the answer of {name} is to be 0 to {sizes[name] - 1}, but is {answer!r}")
    return problems


def _check_few(task: Task, rows: Sequence[Blank] | None, content: str) -> list[str]:
    lines, problems = check_lines(task, rows, content, "answer")
    for number, value, row in lines:
        size = 7 if row is None else len(row.candidates)
        if type(value["answer"]) is not int or not 0 <= value["answer"] < size:
            problems.append(f"line {number}: the answer is to be 0 to {size - 1}, but is {value['answer']!r}")
    return problems


IDIOM = Kind(_read, _score, _render, _check, "answer")
IDIOM_FEW = Kind(_read_few, _score, _render_few, _check_few, "answer")
