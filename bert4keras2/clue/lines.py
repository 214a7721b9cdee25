"""Files with a JSON object a line, and with one JSON value: read with errors that say where, written whole."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from typing import Any

from bert4keras2.files import atomic_path

__all__ = ["Place", "dump_lines", "numbered", "read_jsonl", "read_value", "write_predictions"]


class Place:
    """Where a row stands, for messages."""

    def __init__(self, path: str | os.PathLike, line: int | None = None, unit: str = "line"):
        self.path, self.line, self.unit = os.fspath(path), line, unit

    def __str__(self) -> str:
        return self.path if self.line is None else f"{self.path}, {self.unit} {self.line}"


def numbered(path: str | os.PathLike) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (number of the line, object) of a file with one JSON object a line; empty lines are passed over.

    Args:
        path: a file in UTF-8, with or without the byte order mark that Windows editors write.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a line that is no JSON object or no UTF-8, with the names of file and line.
    """
    with open(path, "rb") as file:
        for number, data in enumerate(file, 1):
            row = _parsed(data, Place(path, number), number == 1)
            if row is None:
                continue
            if not isinstance(row, dict):
                kind = "a list" if isinstance(row, list) else "a text" if isinstance(row, str) else type(row).__name__
                raise ValueError(f"{Place(path, number)}: not a JSON object but {kind}")
            yield number, row


def read_jsonl(path: str | os.PathLike) -> list[dict[str, Any]]:
    """Return the objects of a file with one JSON object a line.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a line that is none, with its number.
    """
    return [row for _, row in numbered(path)]


def read_value(path: str | os.PathLike) -> Any:
    """Return the one JSON value that a file holds.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no JSON in UTF-8; the message names the file, and the line where it breaks off.
    """
    with open(path, "rb") as file:
        value = _parsed(file.read(), Place(path), True)
    if value is None:
        raise ValueError(f"{os.fspath(path)} is empty")
    return value


def _parsed(data: bytes, place: Place, first: bool) -> Any:
    """Return the JSON value of some bytes, None if there is nothing in them."""
    try:
        text = data.decode("utf-8-sig" if first else "utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{place}: not UTF-8 ({error.reason} at byte {error.start}); convert the file, from GB18030 for instance"
        ) from error
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError(f"{place}: not a JSON object (parts within parts within parts)") from error
    except ValueError as error:
        raise ValueError(f"{place}: not a JSON object ({error})") from error


def dump_lines(rows: Iterable[dict[str, Any]]) -> str:
    """Return objects as JSON, one a line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write_predictions(path: str | os.PathLike, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line, as the leaderboard takes it; the file appears whole or not at all."""
    with atomic_path(path) as partial, open(partial, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
