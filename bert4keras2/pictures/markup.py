"""Texts with something marked in them, as HTML that needs no other file."""

from __future__ import annotations

import hashlib
import html
import os
from collections.abc import Iterable, Sequence
from typing import Any

from bert4keras2.files import write_text

__all__ = ["Markup", "entities_html", "weighted_html"]

_STYLE = "font-family: sans-serif; line-height: 2.4; white-space: pre-wrap; overflow-wrap: anywhere"
_MARK = "padding: 0.2em 0.35em; margin: 0 0.1em; border-radius: 0.35em"


class Markup(str):
    """HTML: a notebook shows it, `save` makes a page of it."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return str(self)

    def save(self, path: str | os.PathLike) -> None:
        """Write a page that a browser shows.

        Args:
            path: of the file.

        Raises:
            OSError: if it cannot be written; an old one is untouched.
        """
        head = '<!DOCTYPE html>\n<html><head><meta charset="utf-8"><title>bert4keras2</title></head>'
        write_text(path, f'{head}\n<body style="margin: 2em; max-width: 60em">\n{self}\n</body></html>\n')


def entities_html(text: str, entities: Iterable[Any], path: str | os.PathLike | None = None) -> Markup:
    """Return a text in which entities are highlighted, each type in a colour of its own.

        entities_html(text, task.predict(text)).save("entities.html")

    Args:
        text: the text.
        entities: what `EntityTagger.predict` gives, or (start, end, type) of characters, the end exclusive. Entities
            within others are highlighted within them; of two that cross, the later one is cut at the end of the other.
        path: the file to write, if any.

    Raises:
        TypeError: if `text` is none.
        ValueError: for an entity that does not lie in the text.
    """
    if not isinstance(text, str):
        raise TypeError(f"text is a str, not {type(text).__name__}")
    spans = []
    for number, entity in enumerate(entities):
        start, end, kind = entity[:3]
        if not 0 <= start < end <= len(text):
            raise ValueError(
                f"entities[{number}] = ({start}, {end}, {kind!r}) does not lie in the text, which has {len(text)}"
                " characters: start and end are numbers of characters, the end exclusive"
            )
        spans.append((int(start), int(end), str(kind)))
    # Outer ones first, so that inner ones stand within them.
    spans.sort(key=lambda span: (span[0], -span[1]))
    result = Markup(f'<div style="{_STYLE}">{_nested(text, spans, 0, len(text))}</div>')
    if path is not None:
        result.save(path)
    return result


def _nested(text: str, spans: list[tuple[int, int, str]], start: int, end: int) -> str:
    parts, place = [], start
    while spans:
        first, last, kind = spans[0]
        if first >= end:
            break
        spans.pop(0)
        last = min(last, end)
        if first < place:  # crosses one that is over: what is left of it
            first = place
        if first >= last:
            continue
        parts.append(html.escape(text[place:first]))
        inner = _nested(text, spans, first, last)
        label = f'<b style="font-size: 0.65em; margin-left: 0.4em; opacity: 0.75">{html.escape(kind)}</b>'
        parts.append(f'<mark style="background: {colour(kind)}; {_MARK}">{inner}{label}</mark>')
        place = last
    parts.append(html.escape(text[place:end]))
    return "".join(parts)


def weighted_html(text: str, weights: Sequence[tuple[int, int, float]], caption: str = "") -> Markup:
    """Return a text whose parts are coloured by numbers: red for positive ones, blue for negative ones.

    Args:
        text: the text.
        weights: (start, end, number) of its parts, in their order; the largest magnitude has the full colour.
        caption: what stands above it.
    """
    most = max((abs(value) for _, _, value in weights), default=0.0) or 1.0
    parts, place = [], 0
    for start, end, value in weights:
        parts.append(html.escape(text[place:start]))
        red_green_blue = "214, 69, 65" if value > 0 else "52, 120, 198"
        style = f"background: rgba({red_green_blue}, {abs(value) / most:.2f}); padding: 0.25em 0.05em"
        parts.append(f'<span style="{style}" title="{value:+.4f}">{html.escape(text[start:end])}</span>')
        place = end
    parts.append(html.escape(text[place:]))
    above = f'<p style="font-family: sans-serif; color: #555">{html.escape(caption)}</p>' if caption else ""
    return Markup(f'{above}<div style="{_STYLE}">{"".join(parts)}</div>')


def colour(name: str) -> str:
    """Return a light colour that is always the same for a name."""
    hue = int.from_bytes(hashlib.md5(name.encode("utf-8"), usedforsecurity=False).digest()[:2], "big") % 360
    return f"hsl({hue}, 75%, 82%)"
