"""Checks of the arguments that decoders share."""

from __future__ import annotations

import operator
from typing import Any

__all__ = ["at_least", "fraction", "positive"]


def at_least(name: str, value: Any, least: int) -> int:
    """Return `value` as an int, or raise a ValueError that names it if it is no whole number >= `least`."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return number


def positive(name: str, value: Any) -> float:
    """Return `value` as a float, or raise a ValueError that names it if it is no finite number above 0."""
    number = _number(value)
    if number is None or not 0 < number < float("inf"):
        raise ValueError(f"{name} must be a number greater than 0, not {value!r}")
    return number


def fraction(name: str, value: Any) -> float:
    """Return `value` as a float, or raise a ValueError that names it if it is no number in (0, 1]."""
    number = _number(value)
    if number is None or not 0 < number <= 1:
        raise ValueError(f"{name} must be in (0, 1], not {value!r}")
    return number


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
