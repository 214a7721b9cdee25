"""Writing the generated files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["write_json", "write_lines", "write_table", "write_text"]


def write_text(path: Path, text: str, encoding: str = "utf-8") -> None:
    """Write a text file, with the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)


def write_json(path: Path, content: Any) -> None:
    """Write one JSON value."""
    write_text(path, json.dumps(content, ensure_ascii=False))


def write_lines(path: Path, rows: Iterable[Any]) -> None:
    """Write one JSON value a line."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def write_table(path: Path, rows: Iterable[Sequence[Any]], separator: str = "\t") -> None:
    """Write one row a line, its cells with tabs between."""
    write_text(path, "".join(separator.join(map(str, row)) + "\n" for row in rows))
