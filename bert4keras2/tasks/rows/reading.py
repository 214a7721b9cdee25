"""Rows of reading comprehension: a text, a question, its answers; flat, or nested as SQuAD's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from bert4keras2.tasks.rows.tables import RowError
from bert4keras2.tasks.rows.values import check_text, values_of

__all__ = ["ReadingRow", "reading_rows"]

ORDERS = (("text", "question", "answers"),)


class ReadingRow(NamedTuple):
    """A question to a text.

    Attributes:
        text: the text.
        question: the question.
        answers: (first character, text) of each answer, of which any is right; none if there is no answer.
    """

    text: str
    question: str
    answers: list[tuple[int, str]]


def reading_rows(row: Any, where: str) -> Iterator[ReadingRow]:
    """Yield the questions of a row.

    Args:
        row: (text, question, answers), or a mapping of these; or a document of SQuAD with its paragraphs.
        where: its place, for messages.

    Raises:
        RowError: if it is none, or an answer does not stand in its text.
    """
    if isinstance(row, Mapping) and "paragraphs" in row:
        for number, paragraph in enumerate(row["paragraphs"]):
            yield from reading_rows(paragraph, f"{where}, paragraph {number + 1}")
        return
    if isinstance(row, Mapping) and "qas" in row:
        for number, question in enumerate(row["qas"]):
            yield from reading_rows({"context": row.get("context"), **question}, f"{where}, question {number + 1}")
        return
    values = values_of(row, where, ORDERS, ("answers",))
    text = check_text(values["text"], where)
    question = check_text(values["question"], where, "question")
    yield ReadingRow(text, question, [_answer(one, text, where) for one in _listed(values.get("answers"))])


def _listed(answers: Any) -> list[Any]:
    """Return answers one by one, whatever holds them."""
    if answers is None:
        return []
    if isinstance(answers, str):
        return [answers] if answers else []
    if isinstance(answers, Mapping):
        texts, starts = answers.get("text", ()), answers.get("answer_start")
        if isinstance(texts, str):
            return [(starts, texts)]
        return list(texts) if starts is None else list(zip(starts, texts, strict=True))
    return list(answers)


def _answer(answer: Any, text: str, where: str) -> tuple[int, str]:
    """Return (start, text) of an answer that stands there."""
    if isinstance(answer, Mapping):
        answer = (answer.get("answer_start", answer.get("start")), answer.get("text"))
    start, said = (None, answer) if isinstance(answer, str) else answer
    said = check_text(said, where, "answer")
    if start is None or start < 0:
        start = text.find(said)
        if start < 0:
            raise RowError(f"{where}: the answer {said!r:.80} does not stand in the text")
    start = int(start)
    if text[start : start + len(said)] != said:
        # Files in circulation count white space otherwise, by a few characters: the nearest place is meant.
        places = [at for at in range(len(text)) if text.startswith(said, at)]
        if not places:
            raise RowError(
                f"{where}: the answer {said!r:.80} should stand at {start}, but the text has"
                f" {text[start : start + len(said)]!r:.80} there"
            )
        start = min(places, key=lambda at: abs(at - start))
    return start, said
