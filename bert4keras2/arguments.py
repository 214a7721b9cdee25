"""Checks of numbers that callers pass, with errors that name the argument; nothing here needs a package."""

from __future__ import annotations

import operator
from typing import Any

__all__ = ["at_least", "fraction", "positive", "whole_number"]


def at_least(name: str, value: Any, least: int) -> int:
    """Return `value` as an int, or raise a ValueError that names it if it is no whole number >= `least`."""
    if (number := _whole(value, least)) is None:
        raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return number


def whole_number(name: str, value: Any, least: int) -> int:
    """Return `value` as an int; as `at_least`, in the words of options: "steps is a whole number from 1 on"."""
    if (number := _whole(value, least)) is None:
        raise ValueError(f"{name} is a whole number from {least} on, not {value!r}")
    return number


def _whole(value: Any, least: int) -> int | None:
    try:
        number = operator.index(value)
    except TypeError:
        return None
    return None if isinstance(value, bool) or number < least else number


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
