"""Stands in for matplotlib where it is not installed: nothing is drawn."""

from typing import Any

__all__ = ["use"]


def use(backend: str, **kwargs: Any) -> None:
    """Accept a backend."""
