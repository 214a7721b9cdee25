"""Stands in for the chess board of cchess: the names that scripts import; there is nothing to play with."""

__all__ = ["FULL_INIT_FEN", "ChessBoard", "Move"]

FULL_INIT_FEN = "rnbakabnr/9/1c5c1/p1p1p1p1p/9/9/P1P1P1P1P/1C5C1/9/RNBAKABNR w - - 0 1"


class ChessBoard:
    """A board that can be made."""


class Move:
    """A move that can be made."""
