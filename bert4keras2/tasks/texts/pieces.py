"""Long texts in pieces, cut where sentences end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

__all__ = ["Piece", "pieces_of"]

# Where a cut does least harm, in this order.
_ENDS = ("\n", "。！？!?", "；;", "，,、 \t")


class Piece(NamedTuple):
    """A part of a text.

    Attributes:
        row: number of the text.
        start: its first character in it.
        text: what stands there.
    """

    row: int
    start: int
    text: str


def pieces_of(texts: Sequence[str], too_long: Callable[[list[str]], Sequence[bool]]) -> list[Piece]:
    """Return the pieces of texts in their order: a text that is too long is halved until its parts are not.

    Args:
        texts: the texts.
        too_long: whether each of some texts is too long.
    """
    done: list[Piece] = []
    pending = [Piece(row, 0, text) for row, text in enumerate(texts)]
    while pending:
        halves: list[Piece] = []
        for piece, long in zip(pending, too_long([piece.text for piece in pending]), strict=True):
            if not long or len(piece.text) < 2:
                done.append(piece)
                continue
            at = _middle(piece.text)
            halves += [
                Piece(piece.row, piece.start, piece.text[:at]),
                Piece(piece.row, piece.start + at, piece.text[at:]),
            ]
        # What is blank has nothing in it to find.
        pending = [piece for piece in halves if piece.text.strip()]
    return sorted(done)


def _middle(text: str) -> int:
    """Return where to cut a text: behind the end of a sentence in its middle half, or of a part of one."""
    middle, quarter = len(text) // 2, len(text) // 4
    for ends in _ENDS:
        places = [at + 1 for at in range(quarter, len(text) - quarter - 1) if text[at] in ends]
        if places:
            return min(places, key=lambda at: abs(at - middle))
    return max(middle, 1)
