"""Helpers of early releases' `snippets`."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

__all__ = ["Progress", "delete_arguments", "get_all_attributes", "groupby", "insert_arguments", "is_py2"]

# What scripts branch on.
is_py2 = False


def groupby(iterable: Iterable[Any], key: Iterable[Any] | None = None) -> list[tuple[Any, list[Any]]]:
    """Return neighbours with equal keys as groups.

    Args:
        iterable: the items.
        key: their keys, one for each; the items themselves if None.

    Returns:
        [(key, [item, ...]), ...] in order.
    """
    items = list(iterable)
    groups: list[tuple[Any, list[Any]]] = []
    for name, item in zip(items if key is None else key, items, strict=False):
        if groups and groups[-1][0] == name:
            groups[-1][1].append(item)
        else:
            groups.append((name, [item]))
    return groups


def insert_arguments(**arguments: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator of an `__init__` that takes further keywords, with these defaults, as attributes."""

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def initialize(self: Any, *args: Any, **kwargs: Any) -> Any:
            for name, default in arguments.items():
                setattr(self, name, kwargs.pop(name, default))
            return method(self, *args, **kwargs)

        return initialize

    return decorate


def delete_arguments(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator of an `__init__` that refuses keywords of its base class."""

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def initialize(self: Any, *args: Any, **kwargs: Any) -> Any:
            refused = [name for name in names if name in kwargs]
            if refused:
                raise TypeError(f"{type(self).__name__} got an unexpected keyword argument {refused[0]!r}")
            return method(self, *args, **kwargs)

        return initialize

    return decorate


def get_all_attributes(something: Any) -> dict[str, Any]:
    """Return the public attributes of a module or another object by name."""
    return {name: getattr(something, name) for name in dir(something) if not name.startswith("_")}


class Progress:
    """Iterates and logs how far it is; tqdm shows more.

    Args:
        iterable: what to iterate over.
        period: log every so many items.
        steps: how many there are, if `len` does not tell.
        desc: what to call it.
    """

    def __init__(self, iterable: Iterable[Any], period: int = 1, steps: int | None = None, desc: str | None = None):
        self.iterable, self.period = iterable, period
        self.steps = len(iterable) if hasattr(iterable, "__len__") else steps
        self.desc = desc

    def __iter__(self) -> Iterator[Any]:
        of = f"/{self.steps}" if self.steps else ""
        before = f"{self.desc} - " if self.desc else ""
        for number, item in enumerate(self.iterable, 1):
            if number % self.period == 0:
                logging.getLogger().info("%s%s%s passed", before, number, of)
            yield item
