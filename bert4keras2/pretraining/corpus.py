"""Texts for pre-training: text and JSON Lines files, packed or not, in folders, one passage after the other."""

from __future__ import annotations

import glob
import gzip
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any, NamedTuple

__all__ = ["CorpusError", "Passage", "corpus_files", "read_passages"]

SUFFIXES = (".txt", ".jsonl", ".json", ".txt.gz", ".jsonl.gz", ".json.gz")
# A passage is a paragraph, or a document. What is longer than this is a file without line ends.
LONGEST_LINE = 2**20


class CorpusError(ValueError):
    """What is wrong with a corpus, with the file and the line."""


class Passage(NamedTuple):
    """One passage, or several texts that say the same.

    Attributes:
        texts: the passage; more than one for a group of similar texts (questions with the same answer).
        place: "file, line n", for messages.
    """

    texts: tuple[str, ...]
    place: str


def corpus_files(sources: str | os.PathLike | Sequence[str | os.PathLike]) -> list[str]:
    """Return the files of a corpus in a fixed order.

    Args:
        sources: files, patterns (`data/*.txt.gz`) and folders, which are searched to all depths for .txt, .jsonl and
            .json files, gzipped or not. A file that is named itself may have
            any suffix; what is named twice counts twice.

    Raises:
        CorpusError: if a source does not exist, or there is no file in it.
    """
    if isinstance(sources, str | os.PathLike):
        sources = [sources]
    found: list[str] = []
    for source in map(os.fspath, sources):
        if os.path.isdir(source):
            inner = (os.path.join(root, name) for root, _, names in os.walk(source) for name in names)
            files = sorted(path for path in inner if path.endswith(SUFFIXES))
        elif os.path.isfile(source):
            files = [source]
        else:
            files = sorted(path for path in glob.glob(source, recursive=True) if os.path.isfile(path))
        if not files:
            known = ", ".join(SUFFIXES[:3])
            what = f"holds no {known} file, gzipped or not" if os.path.isdir(source) else "does not exist"
            raise CorpusError(f"corpus {source!r} {what}; give files, patterns such as 'data/*.txt.gz', or folders")
        found += files
    if not found:
        raise CorpusError("corpus is empty: give files, patterns such as 'data/*.txt.gz', or folders")
    return found


def read_passages(
    files: Iterable[str], field: str = "text", group_field: str | None = None, encoding: str = "utf-8"
) -> Iterator[Passage]:
    """Yield the passages of files, one line at a time: files may be larger than memory.

    Args:
        files: as `corpus_files` returns them. JSON Lines are told by the suffix; all other files have one passage a
            line. Empty lines are left out.
        field: the key of the text in JSON Lines.
        group_field: the key of a list of texts that say the same as the first, for objectives that learn from such.
        encoding: of all files; "utf-8" takes a byte order mark at the beginning.

    Raises:
        CorpusError: for a line in another encoding, a line longer than a megabyte, broken JSON or a missing key; the
            message names the file and the line.
    """
    for path in files:
        is_json = path.removesuffix(".gz").endswith((".jsonl", ".json"))
        for number, line in _lines(path, "utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding):
            place = f"{path}, line {number}"
            texts = _json_texts(line, field, group_field, place) if is_json else (line,)
            kept = tuple(text for text in map(str.strip, texts) if text)
            if kept:
                yield Passage(kept, place)


def _lines(path: str, encoding: str) -> Iterator[tuple[int, str]]:
    """Yield (number, line) of a file."""
    number = 0
    try:
        with _open(path) as file:
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                if len(line) > LONGEST_LINE:
                    raise CorpusError(
                        f"{path}, line {number} is longer than {LONGEST_LINE:,} bytes: a corpus has one passage a line;"
                        " cut the file into paragraphs or documents"
                    )
                try:
                    text = line.decode("utf-8" if number > 1 and encoding == "utf-8-sig" else encoding)
                except UnicodeDecodeError as error:
                    raise CorpusError(f"{path}, line {number} is not {encoding}: {error}.{_guess(line)}") from None
                if text.strip():
                    yield number, text
    except (OSError, EOFError) as error:  # a damaged gzip file, a disk that fails
        raise CorpusError(f"{path} cannot be read after line {number}: {error}") from error


def _open(path: str) -> IO[bytes]:
    return gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb")


def _guess(line: bytes) -> str:
    """Say which encoding a line probably has."""
    for name in ("utf-8", "gb18030", "big5", "utf-16"):
        try:
            text = line.decode(name)
        except (UnicodeDecodeError, UnicodeError):
            continue
        return f" As {name} it would read {text.strip()[:20]!r}: if that is right, pass encoding={name!r}"
    return " Convert the file, or pass encoding="


def _json_texts(line: str, field: str, group_field: str | None, place: str) -> tuple[str, ...]:
    try:
        row: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise CorpusError(f"{place} is not JSON ({error}); JSON Lines have one object a line") from None
    if not isinstance(row, dict) or not isinstance(row.get(field), str):
        there = f"keys {', '.join(map(repr, row))}" if isinstance(row, dict) else f"a {type(row).__name__}"
        raise CorpusError(f"{place} has no text under {field!r}, but {there}; name the key with field=")
    others = row.get(group_field, []) if group_field else []
    if not isinstance(others, list) or not all(isinstance(other, str) for other in others):
        raise CorpusError(f"{place}: {group_field!r} should be a list of texts, not {others!r:.60}")
    return (row[field], *others)
