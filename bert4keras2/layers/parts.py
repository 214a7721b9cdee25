"""Layers that may get further parts when they are built already: an adapter behind them, keys before their own."""

from __future__ import annotations

from typing import Any

from bert4keras2.functional import keras_private
from bert4keras2.layers.adapter import Adapter
from bert4keras2.layers.base import Layer
from bert4keras2.layers.prefix import KeyValuePrefix

__all__ = ["Extensible"]

PARTS = {"adapter": Adapter, "prefix": KeyValuePrefix}


class Extensible(Layer):
    """A branch of a block; its parts are saved with it, and a file without them stays as it was.

    Args:
        parts: {name of the part: its options}.
    """

    def __init__(self, parts: dict[str, dict[str, Any]] | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.adapter: Adapter | None = None
        self.prefix: KeyValuePrefix | None = None
        # Not by Keras, which would make another kind of dict of it.
        object.__setattr__(self, "_parts", dict(parts or {}))

    def add_part(self, kind: str, **options: Any) -> None:
        """Put a part into the built layer.

        Args:
            kind: "adapter" or "prefix".
            **options: of the part's class.

        Raises:
            ValueError: if the layer has one.
        """
        if getattr(self, kind) is not None:
            raise ValueError(f"{self.path} has its {kind} already: make the model anew, or freeze_encoder(model)")
        self._parts[kind] = options
        with keras_private.adding_to(self):
            self._make_part(kind)

    def build_parts(self) -> None:
        """Make the parts that the configuration speaks of: the last thing that `build` does."""
        for kind in self._parts:
            self._make_part(kind)

    def part_shape(self, kind: str) -> tuple[dict[str, Any], Any]:
        """Return the options of a part that follow from the layer, and the shape that it is built for."""
        raise NotImplementedError

    def _make_part(self, kind: str) -> None:
        implied, shape = self.part_shape(kind)
        part = PARTS[kind](**implied, **self._parts[kind], name=kind, dtype=self.dtype_policy)
        part.build(shape)
        setattr(self, kind, part)

    def get_config(self) -> dict[str, Any]:
        parts = {kind: dict(options) for kind, options in self._parts.items()}
        return {**super().get_config(), **({"parts": parts} if parts else {})}
