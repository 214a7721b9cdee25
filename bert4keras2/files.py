"""Files that appear whole or not at all, and JSON as people save it; nothing here needs a package."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

__all__ = ["atomic_path", "read_json", "scratch_folder"]

_NUMBERS = itertools.count()


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike, suffix: str = "") -> Iterator[str]:
    """A context that gives a name beside a file's place; what is written there takes the place at its end.

    After an error, or if the process is killed, the old file is as it was.

    Args:
        path: where the file belongs; its folder exists.
        suffix: how the temporary name has to end, for programs that look at that.
    """
    path = os.fspath(path)
    partial = f"{path}.{os.getpid()}-{next(_NUMBERS)}.partial{suffix}"
    try:
        yield partial
        os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.remove(partial)


@contextlib.contextmanager
def scratch_folder(path: str | os.PathLike) -> Iterator[str]:
    """A context that gives an empty folder beside a path, on the same disk, and removes it at its end."""
    parent, name = os.path.split(os.path.abspath(os.fspath(path)))
    os.makedirs(parent, exist_ok=True)
    work = tempfile.mkdtemp(prefix=f".{name}.", dir=parent)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def read_json(path: str | os.PathLike, what: str = "a JSON file") -> dict[str, Any]:
    """Return the object in a JSON file, with or without the byte order mark that Windows editors write.

    Args:
        path: the file.
        what: what it should be, for messages.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not JSON in UTF-8, or no object.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no file {path}")
    try:
        with open(path, encoding="utf-8-sig") as file:
            content = json.load(file)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a JSON file in UTF-8 ({error}); is it {what}?") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} should hold a JSON object, but holds a {type(content).__name__}")
    return content
