"""Which tests are marked `breadth` by a list."""

from __future__ import annotations

from pathlib import Path

__all__ = ["further_cases"]


def further_cases() -> list[str]:
    """Return how the names of the tests begin that `breadth.txt` lists."""
    lines = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines()
    return [f"tests/{line}" for line in lines if not line.startswith("#")]
