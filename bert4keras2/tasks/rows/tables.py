"""Rows out of files, lists, pandas and Hugging Face's datasets, each with the place that it comes from."""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

__all__ = ["KNOWN_COLUMNS", "RowError", "Rows", "read_rows", "read_text"]

# What columns are called in the data that is handed around, by what tasks call them.
COLUMNS: dict[str, tuple[str, ...]] = {
    "text": (
        "text", "sentence", "sentence1", "text_a", "text1", "premise", "question1", "query", "content", "review",
        "context", "passage",
    ),
    "second": ("second", "pair", "text_pair", "sentence2", "text_b", "text2", "hypothesis", "question2"),
    "task": ("task", "task_name"),
    "negative": ("negative", "neg", "hard_negative"),
    "label": ("label", "labels", "class", "category", "score"),
    "entities": ("entities", "spans"),
    "tokens": ("tokens", "words"),
    "tags": ("tags", "ner_tags"),
    "question": ("question",),
    "answers": ("answers", "answer"),
    "choices": ("choices", "choice", "options"),
    "answer": ("answer", "label"),
}  # fmt: skip
KNOWN_COLUMNS = {name for names in COLUMNS.values() for name in names} | {"id", "idx"}

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip  (the longer mark first: UTF-32's begins with UTF-16's)


class RowError(ValueError):
    """A row that a task cannot learn from; the message names the file and the line, or the place in the list."""


class Rows(list):
    """Rows, mappings or tuples, that know where they come from.

    Args:
        rows: the rows.
        where: the place of a row, by its number in the list.
    """

    def __init__(self, rows: Iterable[Any], where: Callable[[int], str] = "rows[{}]".format):
        super().__init__(rows)
        self.where = where


def read_rows(source: Any, columns: Mapping[str, str | int] | None = None) -> Rows:
    """Return the rows of a file, a list, a pandas DataFrame or a split of Hugging Face's datasets.

    Files are CSV, TSV (also .txt and .data), JSON Lines or JSON, in UTF-8 with or without a mark, UTF-16 or GB 18030.
    A first line with names of columns is taken for a header; without one the rows are tuples.

    Args:
        source: path of a file; or rows, each a mapping or a tuple; or a DataFrame, or a Dataset, whose class numbers
            become the names that it has for them.
        columns: {what the task calls it: name or number of the column}, such as {"text": "title", "label": 0}; rows
            then have these alone.

    Raises:
        FileNotFoundError: if there is no such file.
        RowError: for a line that is broken, with its number, and for a row without one of the columns.
        TypeError: if `source` holds no rows.
    """
    rows = _read(source)
    if columns is None:
        return rows
    return Rows((_chosen(row, columns, rows.where(i)) for i, row in enumerate(rows)), rows.where)


def _read(source: Any) -> Rows:
    if isinstance(source, Rows):
        return source
    if isinstance(source, str | os.PathLike):
        return _read_file(os.fspath(source))
    if hasattr(source, "to_dict") and hasattr(source, "columns"):  # pandas
        return Rows(source.to_dict("records"))
    if isinstance(source, Mapping):
        raise TypeError(
            f"rows is one mapping with the keys {', '.join(map(str, list(source)[:8]))}; expected a list of rows. Of a"
            " DatasetDict pass one split, such as data['train']"
        )
    if hasattr(source, "features") and hasattr(source, "__getitem__"):  # datasets
        names = {name: found for name, kind in (source.features or {}).items() if (found := _class_names(kind))}
        return Rows({key: _named(value, names.get(key)) for key, value in row.items()} for row in source)
    try:
        rows = Rows(source)
    except TypeError:
        raise TypeError(
            f"rows is a {type(source).__name__}; expected a list of rows, the path of a file, a DataFrame or a Dataset"
        ) from None
    for index, row in enumerate(rows):
        if not isinstance(row, Mapping | tuple | list):
            raise TypeError(f"rows[{index}] is a {type(row).__name__} {row!r:.60}; expected a mapping or a tuple")
    return rows


def _class_names(kind: Any) -> list[str] | None:
    """Return the names that a column's class numbers stand for in a Dataset; of a list of them, those of its items."""
    for part in (kind, getattr(kind, "feature", None)):
        if getattr(part, "names", None):
            return list(part.names)
    return None


def _named(value: Any, names: list[str] | None) -> Any:
    if names is None or isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return [_named(item, names) for item in value]
    return names[value] if value is not None and 0 <= value < len(names) else value  # -1: a test set without labels


def _chosen(row: Any, columns: Mapping[str, str | int], where: str) -> dict[str, Any]:
    found = {}
    for name, column in columns.items():
        try:
            found[name] = row[column]
        except (KeyError, IndexError, TypeError):
            there = ", ".join(map(str, row)) if isinstance(row, Mapping) else f"{len(row)} columns without names"
            raise RowError(f"{where}: there is no column {column!r}; the row has {there}") from None
    return found


# -- files -------------------------------------------------------------------------------------------------------------


def read_text(path: str | os.PathLike) -> str:
    """Return a text file's content, in whichever encoding of those in circulation it is.

    Raises:
        RowError: if it is in none of them.
    """
    with open(path, "rb") as file:
        data = file.read()
    encodings = [encoding for mark, encoding in _MARKS if data.startswith(mark)][:1]
    if not encodings and b"\0" in data[:4096]:  # UTF-16 without its mark: every other byte of ASCII is 0
        head = data[:4096]
        encodings = ["utf-16-le" if head[1::2].count(0) >= head[::2].count(0) else "utf-16-be"]
    for encoding in encodings or ["utf-8", "gb18030"]:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            reason = error
    raise RowError(
        f"{os.fspath(path)} is neither UTF-8, UTF-16 nor GB 18030 ({reason}): convert it, or is it cut short?"
    )


def _read_file(path: str) -> Rows:
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no file {path!r}")
    text = read_text(path)
    if not text.strip():
        raise RowError(f"{path} is empty")
    ending = os.path.splitext(path)[1].lower()
    first = text.lstrip()[:1]
    if ending == ".json" or (ending not in (".jsonl", ".csv", ".tsv") and first == "["):
        whole = _whole_json(text)
        if whole is not None:
            return Rows(whole, lambda index: f"{path}, row {index + 1}")
    if ending in (".json", ".jsonl", ".ndjson") or (ending not in (".csv", ".tsv") and first == "{"):
        pairs = list(_json_lines(path, text))
    else:
        by_tab = ending in (".tsv", ".txt", ".data") or (ending != ".csv" and "\t" in text.lstrip().split("\n", 1)[0])
        pairs = list(_cells(path, text, "\t" if by_tab else ","))
    numbers = [number for number, _ in pairs]
    return Rows((row for _, row in pairs), lambda index: f"{path}, line {numbers[index]}")


def _whole_json(text: str) -> list[Any] | None:
    """Return the rows of a file that is one JSON value: a list, or an object with a list of "data"; None if none is."""
    try:
        content = json.loads(text)
    except ValueError:
        return None
    if isinstance(content, Mapping) and isinstance(content.get("data"), list):
        content = content["data"]
    return content if isinstance(content, list) and all(isinstance(row, Mapping | list) for row in content) else None


def _json_lines(path: str, text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise RowError(f"{path}, line {number} is no JSON ({error}): {line.strip():.80}") from error
        if not isinstance(row, Mapping | list):
            raise RowError(f"{path}, line {number} should hold an object, but holds {line.strip():.80}")
        yield number, row


def _cells(path: str, text: str, delimiter: str) -> Iterator[tuple[int, Any]]:
    """Yield (line, row) of a table: mappings if the first line is a header, otherwise tuples."""
    # In tables by tabs quotation marks are characters as any other.
    quoting = csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=delimiter == ",")
    header: list[str] | None = None
    width = 0
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not width:
                width = len(cells)
                names = [cell.strip() for cell in cells]
                if {name.lower() for name in names} & KNOWN_COLUMNS:
                    header = names
                    continue
            if len(cells) != width:
                raise RowError(
                    f"{path}, line {reader.line_num} has {len(cells)} columns, where the first line has {width}: is"
                    f" there a {'tab' if delimiter != ',' else 'comma'} in a text?"
                )
            yield reader.line_num, tuple(cells) if header is None else dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise RowError(f"{path}, line {reader.line_num} is broken: {error}") from error
