"""A stateless scope of Keras that knows what happened in it."""

from __future__ import annotations

from typing import Any

import keras

__all__ = ["NotedScope"]


class NotedScope(keras.StatelessScope):
    """A scope in which variables have given values, and which knows to which of them something was assigned.

    Args:
        values: pairs (variable, value).

    Attributes:
        assigned: {id of a variable: the variable}.
        losses: what layers added.
    """

    def __init__(self, values: list[tuple[Any, Any]]):
        super().__init__(values, collect_losses=True)
        self.assigned: dict[int, Any] = {}

    def add_update(self, update: tuple[Any, Any]) -> None:
        """Note an assignment."""
        self.assigned[id(update[0])] = update[0]
        super().add_update(update)
