"""The kinds of tasks by name: each class of a task enters itself, so that a saved folder finds it."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["KINDS", "find_kind"]

KINDS: dict[str, type[Any]] = {}
# Kinds that enter themselves when their package is imported, which stands on this one.
LATER = {"PromptClassifier": "bert4keras2.prompting"}


def find_kind(name: Any) -> type[Any] | None:
    """Return the class of a kind of tasks, None if there is none of the name."""
    if name in LATER and name not in KINDS:
        importlib.import_module(LATER[name])
    return KINDS.get(name) if isinstance(name, str) else None
