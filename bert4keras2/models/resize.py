"""Resizing a checkpoint's weights to a model of other widths."""

from __future__ import annotations

from typing import Any

__all__ = ["Resizer"]


class Resizer:
    def __init__(self, config: Any):
        self.config = config

    def for_variable(self, path: str):
        from bert4keras2.snippets import orthogonally_resize

        return lambda array, shape: orthogonally_resize(array, shape)
