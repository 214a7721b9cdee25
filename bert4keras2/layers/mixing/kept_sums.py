"""Caches of sums: they stay in float32 in layers that compute in half precision."""

from __future__ import annotations

from typing import Any

from bert4keras2.layers.base import Layer

__all__ = ["KeepsSums", "cache_of"]


class _Closed:
    """A cache that Keras does not see into, which casts what a layer is called with."""

    def __init__(self, cache: dict[str, Any]):
        self.cache = cache


class KeepsSums(Layer):
    """Base of layers whose cache is a dictionary of sums over all tokens before.

    In bfloat16 a sum of 256 and 1 is 256: after some hundred tokens nothing would be added any more.
    """

    def __call__(self, *args: Any, cache: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        if cache is None:
            return super().__call__(*args, **kwargs)
        return super().__call__(*args, cache=_Closed(cache), **kwargs)


def cache_of(given: Any) -> dict[str, Any] | None:
    """Return what `call` of such a layer is given as its cache."""
    return given.cache if isinstance(given, _Closed) else given
