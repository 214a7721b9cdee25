"""Progress bars of calls that take long, where someone looks on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

__all__ = ["interactive", "progress_bar", "shown"]

T = TypeVar("T")

# Seconds after which a bar appears that was not asked for: what is over sooner needs none.
DELAY = 2.0


def interactive(stream: Any) -> bool:
    """Whether what is written to a stream is looked at as it comes: a terminal, a notebook, PyCharm's window."""
    terminal = stream is not None and getattr(stream, "isatty", lambda: False)()
    return terminal or "ipykernel" in sys.modules or "PYCHARM_HOSTED" in os.environ


@contextmanager
def progress_bar(
    title: str, total: int | None, unit: str, progress: bool | None = None
) -> Iterator[Callable[[int], Any]]:
    """A context with a bar on the standard error stream; it gives the function that moves the bar on by a number.

    Args:
        title: what is being done.
        total: how many units there are; None if nobody knows, which is then counted in thousands and millions.
        unit: what one of them is called.
        progress: show it; if None, where someone looks on and the work has taken some seconds.
    """
    if progress is None and not interactive(sys.stderr):
        progress = False
    if progress is False:
        yield lambda count: None
        return
    from tqdm import tqdm

    wanted = progress is True
    options = {"leave": wanted, "delay": 0 if wanted else DELAY, "unit_scale": total is None}
    with tqdm(desc=title, total=total, unit=unit, **options) as bar:
        yield bar.update


def shown(items: Iterable[T], title: str, unit: str, progress: bool | None = None) -> Iterator[T]:
    """Yield items whose number nobody knows, with a bar; the arguments are those of `progress_bar`."""
    with progress_bar(title, None, unit, progress) as advance:
        for item in items:
            yield item
            advance(1)
