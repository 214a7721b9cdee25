"""On JAX, calling a compiled function with the values of variables while another thread trains them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

__all__ = ["call_with_live_values"]

# A training step gives the old values' memory to the new ones. They are gone from then until the new ones are noted,
# which may take as long as the step itself.
PATIENCE = 600.0
PAUSE = 0.001


def call_with_live_values(function: Callable[[Any], Any], values: Callable[[], Any]) -> Any:
    """Return `function(values())`, called once no step of another thread has taken values away.

    Args:
        function: of values, one that JAX has compiled.
        values: returns what variables hold at the moment, lists of arrays.

    Returns:
        What the function returns.
    """
    until = None
    while True:
        found = values()
        try:
            if not _any_deleted(found):
                return function(found)
        except (RuntimeError, ValueError) as error:
            if "deleted" not in str(error):
                raise
        until = time.monotonic() + PATIENCE if until is None else until
        if time.monotonic() > until:
            return function(found)  # for JAX' own message
        time.sleep(PAUSE)


def _any_deleted(values: Any) -> bool:
    if isinstance(values, list | tuple):
        return any(map(_any_deleted, values))
    deleted = getattr(values, "is_deleted", None)  # what is traced has none
    return deleted is not None and deleted()
