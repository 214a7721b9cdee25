"""Functions that draw nothing, and a figure that has them too."""

from __future__ import annotations

from typing import Any


class _Nothing:
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self

    def __getattr__(self, name: str) -> Any:
        return self

    def __iter__(self) -> Any:
        return iter((self, self))


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return _Nothing()
