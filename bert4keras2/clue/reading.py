"""CMRC 2018: questions that a piece of a text answers (Cui et al., aclanthology.org/D19-1600)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from bert4keras2.clue.fields import needed, problem_of
from bert4keras2.clue.lines import Place, read_value
from bert4keras2.clue.rows import Answer, Question
from bert4keras2.clue.task import Kind, Task
from bert4keras2.metrics import reading_scores

__all__ = ["READING"]

_FAKE = "FAKE_ANSWER"  # what CLUE's test file has in place of answers


def _read(task: Task, path: str) -> list[Question]:
    """The file is nested as SQuAD's, or is the flat list in which CMRC 2018 was first published."""
    rows: list[Question] = []
    for place, paragraph in _paragraphs(read_value(path), path):
        flat = "context_text" in paragraph
        names = ("context_text", "query_text", "query_id") if flat else ("context", "question", "id")
        needed(paragraph, [names[0], "qas"], task, place)
        context = paragraph[names[0]]
        if not isinstance(context, str) or not isinstance(paragraph["qas"], list):
            raise ValueError(f"{place}: {names[0]} is to be a text and qas a list")
        for question in paragraph["qas"]:
            if not isinstance(question, dict):
                raise ValueError(f"{place}: a question is to be an object, but is {question!r}"[:300])
            needed(question, names[1:], task, place)
            name = str(question[names[2]])
            if not isinstance(question[names[1]], str):
                raise ValueError(f"{place}: the question {name} is to be a text, but is {question[names[1]]!r}"[:300])
            answers = question.get("answers") or []
            if not isinstance(answers, list):
                raise ValueError(f"{place}: the answers of {name} are to be a list, but are {answers!r}"[:300])
            found = tuple(_answer(answer, context, name, place) for answer in answers)
            if all(answer.text.startswith(_FAKE) for answer in found):
                found = ()
            rows.append(Question(name, question[names[1]], context, found))
    return rows


def _paragraphs(content: Any, path: str) -> Iterator[tuple[Place, dict[str, Any]]]:
    items = content.get("data") if isinstance(content, dict) else content
    if not isinstance(items, list):
        raise ValueError(f'{path} is no cmrc2018 file, which is {{"data": [...]}} as in SQuAD, or a list')
    for number, item in enumerate(items, 1):
        place = Place(path, number, "item")
        if not isinstance(item, dict):
            raise ValueError(f"{place} is no passage with questions, but {str(item)[:100]!r}")
        paragraphs = item.get("paragraphs", [item])
        if not isinstance(paragraphs, list) or not all(isinstance(paragraph, dict) for paragraph in paragraphs):
            raise ValueError(f"{place}: paragraphs is to be a list of objects, but is {paragraphs!r}"[:300])
        for paragraph in paragraphs:
            yield place, paragraph


def _answer(answer: Any, context: str, name: str, place: Place) -> Answer:
    """Return an answer and where it stands.

    Published files hold answers whose offset is some characters off (their context lost characters), which are looked
    for nearby, and answers that their writers worded themselves, with the offset -1.
    """
    start = None
    if isinstance(answer, dict):
        start, answer = answer.get("answer_start"), answer.get("text")
    if isinstance(answer, int | float) and not isinstance(answer, bool):
        answer = str(answer)  # years, in the flat files
    if not isinstance(answer, str):
        raise ValueError(f"{place}: an answer of {name} is to be a text, but is {answer!r}"[:300])
    if start is not None and type(start) is not int:
        raise ValueError(f"{place}: answer_start of {name} is to be a whole number, but is {start!r}")
    there = _places(answer, context)
    if not there:
        if start is not None and start >= 0:
            raise ValueError(
                f"{place}: the answer {answer!r} of {name} does not stand at {start} of the context, nor anywhere else"
            )
        return Answer(answer, None)
    return Answer(answer, min(there, key=lambda i: abs(i - max(start or 0, 0))))


def _places(answer: str, context: str) -> list[int]:
    """Return where an answer begins in a context, each time that it occurs."""
    places, start = [], context.find(answer) if answer else -1
    while start >= 0:
        places.append(start)
        start = context.find(answer, start + 1)
    return places


def _score(task: Task, rows: Sequence[Question], predictions: Sequence[str]) -> dict[str, Any]:
    scores = reading_scores([[answer.text for answer in row.answers] for row in rows], predictions)
    return {"score": scores["em"], **scores}


def _render(task: Task, rows: Sequence[Question], predictions: Sequence[str]) -> str:
    for row, answer in zip(rows, predictions, strict=True):
        if not isinstance(answer, str):
            raise ValueError(f"the answer to {row.id} is to be a text, but is {answer!r}")
    found = dict(zip((row.id for row in rows), predictions, strict=True))
    return json.dumps(found, ensure_ascii=False, indent=4) + "\n"


def _check(task: Task, rows: Sequence[Question] | None, content: str) -> list[str]:
    found, problems = problem_of(content, dict)
    if problems:
        return problems
    names = list(found) if rows is None else [row.id for row in rows]
    if missing := [name for name in names if name not in found]:
        problems.append(f"{len(missing)} of {len(names)} questions are missing, such as {missing[0]}")
    known = set(names)
    for name, answer in found.items():
        if name not in known:
            problems.append(f"the test file has no question {name}")
        elif not isinstance(answer, str):
            problems.append(f"the answer to {name} is to be a text, but is {answer!r}")
    return problems


READING = Kind(_read, _score, _render, _check, "answers")
