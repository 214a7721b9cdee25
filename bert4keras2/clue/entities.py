"""CLUENER: entities of ten types (Xu et al., arXiv 2001.04351)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from bert4keras2.clue.fields import check_lines, needed, row_id, text_of
from bert4keras2.clue.lines import Place, dump_lines, numbered
from bert4keras2.clue.rows import Entities
from bert4keras2.clue.task import Kind, Task
from bert4keras2.metrics import span_f1

__all__ = ["ENTITIES"]

Span = tuple[int, int, str]


def _read(task: Task, path: str) -> list[Entities]:
    """A line's label is {type: {entity: [[start, end], ...]}}, the end inclusive."""
    rows = []
    for number, (line, row) in enumerate(numbered(path)):
        place = Place(path, line)
        needed(row, task.fields, task, place)
        text = text_of(row, "text", place)
        label = row.get("label")
        if label is not None and not isinstance(label, dict):
            raise ValueError(f"{place}: label is to be {{type: {{entity: [[start, end]]}}}}, but is {label!r}"[:300])
        spans = None
        if label is not None:
            spans, problems = _spans(label, text, task)
            if problems:
                raise ValueError(f"{place}: {problems[0]}")
        rows.append(Entities(row_id(row, number), text, spans))
    return rows


def _spans(label: dict[str, Any], text: str, task: Task) -> tuple[tuple[Span, ...], list[str]]:
    """Return the spans of a label with exclusive ends, in order, and what does not fit."""
    found, problems = [], []
    for kind, entities in label.items():
        if kind not in task.labels:
            problems.append(f"{kind!r} is none of the types {', '.join(task.labels)}")
            continue
        if not isinstance(entities, dict):
            problems.append(f"the entities of {kind} are to be {{entity: [[start, end]]}}, but are {entities!r}"[:300])
            continue
        for entity, places in entities.items():
            for place in places if isinstance(places, list) else [places]:
                whole = isinstance(place, list) and len(place) == 2 and all(type(end) is int for end in place)
                if not whole or not 0 <= place[0] <= place[1] < len(text) or text[place[0] : place[1] + 1] != entity:
                    problems.append(f"the {kind} {entity!r} does not stand at {place} of the text {text!r}"[:400])
                else:
                    found.append((place[0], place[1] + 1, kind))
    return tuple(sorted(found)), problems


def _checked(row: Entities, spans: Collection[Span], task: Task) -> list[Span]:
    found = sorted({(int(start), int(end), kind) for start, end, kind in spans})
    for start, end, kind in found:
        if kind not in task.labels or not 0 <= start < end <= len(row.text):
            raise ValueError(
                f"the span {(start, end, kind)} does not fit the row {row.id}: (start, end exclusive, type), with a"
                f" type of {', '.join(task.labels)}, in a text of {len(row.text)} characters"
            )
    return found


def _score(task: Task, rows: Sequence[Entities], predictions: Sequence[Collection[Span]]) -> dict[str, Any]:
    """Return the official F1, the mean over all ten types of what sets of entities as texts have in common.

    Where an entity stands, and how often, does not count there; "micro_f1" is by exact spans.
    """
    there: Counter[str] = Counter()
    found: Counter[str] = Counter()
    right: Counter[str] = Counter()
    true = [row.spans or () for row in rows]
    guessed = [_checked(row, spans, task) for row, spans in zip(rows, predictions, strict=True)]
    for row, *both in zip(rows, true, guessed, strict=True):
        a, b = ({(kind, row.text[start:end]) for start, end, kind in spans} for spans in both)
        for counter, entities in ((there, a), (found, b), (right, a & b)):
            counter.update(kind for kind, _ in entities)
    types = {kind: 2 * right[kind] / (there[kind] + found[kind]) if right[kind] else 0.0 for kind in task.labels}
    macro = sum(types.values()) / len(types)
    micro = span_f1(true, guessed)["f1"]
    return {"score": macro, "f1": macro, "micro_f1": micro, "types": types}


def _nested(row: Entities, spans: Sequence[Span]) -> dict[str, dict[str, list[list[int]]]]:
    label: dict[str, dict[str, list[list[int]]]] = {}
    for start, end, kind in spans:
        label.setdefault(kind, {}).setdefault(row.text[start:end], []).append([start, end - 1])
    return label


def _render(task: Task, rows: Sequence[Entities], predictions: Sequence[Collection[Span]]) -> str:
    return dump_lines(
        {"id": task.written_id(row), "text": row.text, "label": _nested(row, _checked(row, spans, task))}
        for row, spans in zip(rows, predictions, strict=True)
    )


def _check(task: Task, rows: Sequence[Entities] | None, content: str) -> list[str]:
    lines, problems = check_lines(task, rows, content, "label")
    for number, value, row in lines:
        text = value.get("text")
        if not isinstance(text, str) or (row is not None and text != row.text):
            problems.append(f"line {number} has another text than the test file")
        elif not isinstance(value["label"], dict):
            problems.append(f"line {number}: label is to be {{type: {{entity: [[start, end]]}}}}")
        else:
            problems += [f"line {number}: {problem}" for problem in _spans(value["label"], text, task)[1]]
    return problems


ENTITIES = Kind(_read, _score, _render, _check, "spans")
