"""What tasks say of texts, as HTML."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from bert4keras2.pictures.markup import Markup, colour, entities_html

__all__ = ["answer_html"]

MOST_BARS = 12


def answer_html(said: Mapping[str, Any], found: Any) -> Markup:
    """Return an answer drawn: labels as bars, entities and answers marked in their text.

    Args:
        said: what was asked by name, as `Task.predict_rows` returns it.
        found: the answer.
    """
    if isinstance(found, list):
        return entities_html(said["text"], found) + _note("没有找到 nothing found" if not found else "")
    if hasattr(found, "probabilities"):
        shares = found.probabilities
        if isinstance(shares, Mapping):
            return _bars(list(shares), list(shares.values()))
        return _bars(list(said["choices"]), list(shares))
    if hasattr(found, "value"):
        return Markup(f'<p style="font-size: 1.6em">{found.value:.4f}</p>')
    if found.start == found.end:
        return entities_html(said["text"], []) + _note("文中没有答案 no answer")
    marked = entities_html(said["text"], [(found.start, found.end, f"{found.score:.0%}")])
    return Markup(f'<p style="font-size: 1.2em">{html.escape(found.text)}</p>{marked}')


def _note(words: str) -> Markup:
    return Markup(f'<p style="color: #666">{words}</p>' if words else "")


def _bars(names: Sequence[str], shares: Sequence[float]) -> Markup:
    """Return a bar for each name, the largest first."""
    order = sorted(range(len(names)), key=lambda place: -shares[place])
    rows = "".join(
        f'<tr><td style="text-align: right; padding-right: 0.6em">{html.escape(str(names[place]))}</td>'
        f'<td style="width: 60%"><div style="background: {colour(str(names[place]))}; height: 1.1em;'
        f' border-radius: 0.2em; width: {max(shares[place], 0.002):.1%}"></div></td>'
        f'<td style="padding-left: 0.6em">{shares[place]:.3f}</td></tr>'
        for place in order[:MOST_BARS]
    )
    more = f"… {len(names) - MOST_BARS}" if len(names) > MOST_BARS else ""
    return Markup(f'<table style="width: 100%; font-family: sans-serif">{rows}</table>{more}')
