"""The kinds of tasks by name: each class of a task enters itself, so that a saved folder finds it."""

from __future__ import annotations

from typing import Any

__all__ = ["KINDS"]

KINDS: dict[str, type[Any]] = {}
