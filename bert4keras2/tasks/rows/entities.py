"""Rows of entity tagging: a text with its spans, from lists of spans, CLUENER's nesting, or tokens with tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from bert4keras2.tasks.rows.tables import RowError
from bert4keras2.tasks.rows.values import check_text, label_text, values_of
from bert4keras2.tasks.texts.tags import TagScheme

__all__ = ["EntityRow", "entity_row"]


class EntityRow(NamedTuple):
    """A text and its entities.

    Attributes:
        text: the text.
        spans: (start, end, type), the end exclusive.
    """

    text: str
    spans: list[tuple[int, int, str]]


def entity_row(row: Any, where: str) -> EntityRow:
    """Return a checked row.

    Args:
        row: (text, entities), or a mapping of these or of tokens and tags.
        where: its place, for messages.

    Raises:
        RowError: if it is none, or an entity does not fit its text.
    """
    if isinstance(row, Mapping):
        keys = {str(key).lower(): key for key in row}
        if isinstance(row.get(keys.get("label")), Mapping):  # CLUENER
            row = {"text": row[keys["text"]] if "text" in keys else None, "entities": row[keys["label"]]}
        elif not {"entities", "spans"} & keys.keys() and {"tokens", "words"} & keys.keys():
            return _from_tags(row, where)
    values = values_of(row, where, (("text", "entities"),))
    text = check_text(values["text"], where)
    return EntityRow(text, [_span(one, text, where) for one in _listed(values["entities"], where)])


def _listed(value: Any, where: str) -> list[Any]:
    if isinstance(value, Mapping):
        # {type: {text: [[start, last], ...]}}, as CLUENER has it, with the last character included.
        if all(isinstance(inner, Mapping) for inner in value.values()):
            return [
                (start, last + 1, kind)
                for kind, inner in value.items()
                for spans in inner.values()
                for start, last in spans
            ]
    elif isinstance(value, Iterable) and not isinstance(value, str):
        return list(value)
    raise RowError(f"{where}: entities is {value!r:.80}, expected a list of (start, end, type)")


def _span(entity: Any, text: str, where: str) -> tuple[int, int, str]:
    """Return (start, end, type) of an entity that lies within its text."""
    if isinstance(entity, Mapping):
        kind = next((entity[name] for name in ("type", "label", "entity", "entity_group") if name in entity), None)
        said = entity.get("text", entity.get("word"))
        entity = (entity.get("start"), entity.get("end"), kind)
    else:
        said = None
    try:
        start, end, kind = entity
        start, end = int(start), int(end)
    except (TypeError, ValueError):
        raise RowError(f"{where}: an entity is (start, end, type), not {entity!r:.80}") from None
    kind = label_text(kind, where)
    if not 0 <= start < end <= len(text):
        raise RowError(
            f"{where}: the {kind} from {start} to {end} does not fit the text, which has {len(text)} characters (the"
            " end is the character behind the last one)"
        )
    if isinstance(said, str) and said != text[start:end]:
        raise RowError(
            f"{where}: the {kind} from {start} to {end} should be {said!r}, but the text has {text[start:end]!r} there:"
            " is the end included, or the text another?"
        )
    return start, end, kind


def _from_tags(row: Mapping, where: str) -> EntityRow:
    """Return a row of tokens and tags as a text with spans; tokens that are words get blanks between them."""
    values = values_of(row, where, (("tokens", "tags"),))
    tokens, tags = list(values["tokens"]), [str(tag) for tag in values["tags"]]
    if len(tokens) != len(tags):
        raise RowError(f"{where} has {len(tokens)} tokens, but {len(tags)} tags")
    gap = " " if any(len(token) > 1 and token.isascii() for token in tokens) else ""
    starts = np.cumsum([0, *(len(token) + len(gap) for token in tokens)]).tolist()
    names = sorted(set(tags))
    numbers = {tag: number for number, tag in enumerate(names)}
    spans = TagScheme(names).decode([numbers[tag] for tag in tags])
    text = check_text(gap.join(tokens), where)
    return EntityRow(text, [(starts[first], starts[last] + len(tokens[last]), kind) for first, last, kind in spans])
