"""The command line: which files, what is shown, and what is written."""

from __future__ import annotations

import argparse
import difflib
import io
import json
import os
import re
import shutil
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bert4keras2.files import atomic_path
from bert4keras2.migrate.constructs import Note
from bert4keras2.migrate.notebook import migrate_notebook
from bert4keras2.migrate.rewrite import migrate_source

__all__ = ["main"]

EPILOG = """\
Without --write nothing is changed: the differences are shown, and what has to be changed by hand.

exit status:
  0  everything was (or would be) carried over
  1  something is left for a person: constructs that have no counterpart, or files that cannot be read
  2  a path does not exist or cannot be written
"""


def main(arguments: Sequence[str] | None = None, prog: str = "python -m bert4keras2.migrate") -> int:
    """Run the command line.

    Args:
        arguments: those after the program's name; sys.argv's if None.
        prog: the program's name, for its help and its errors.

    Returns:
        The exit status, 0, 1 or 2.
    """
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Move scripts from bert4keras to bert4keras2.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a script, a notebook, or a folder, which is searched for *.py and *.ipynb",
    )
    parser.add_argument("--write", action="store_true", help="change the files; the old ones stay beside as *.orig")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    parser.add_argument("--all", action="store_true", help="also rewrite Keras imports of scripts without bert4keras")
    options = parser.parse_args(arguments)

    missing = [path for path in options.paths if not os.path.exists(path)]
    if missing:
        print(f"error: no such file or folder: {', '.join(missing)}", file=sys.stderr)
        return 2
    reports, status = [], 0
    for path in dict.fromkeys(_files(options.paths)):
        report = _one(path, options.write, options.all)
        reports.append(report)
        status = max(status, report["status"])
        if not options.json:
            _print(report, options.write)
    if options.json:
        print(json.dumps({"files": reports, "status": status}, ensure_ascii=False, indent=1))
    else:
        _summary(reports, options.write)
    return status


def _files(paths: Sequence[str]) -> Iterator[Path]:
    """Yield the scripts and notebooks that the paths name; hidden folders and those of caches are left out."""
    for given in map(Path, paths):
        if not given.is_dir():
            yield given
            continue
        for folder, folders, names in os.walk(given):
            folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__pycache__")
            yield from (Path(folder) / name for name in sorted(names) if name.endswith((".py", ".ipynb")))


def _one(path: Path, write: bool, always: bool) -> dict[str, Any]:
    """Return the report on one file, a dict for --json."""
    notebook = path.suffix == ".ipynb"
    report: dict[str, Any] = {"path": str(path), "changed": False, "diff": "", "notes": [], "error": None, "status": 0}
    try:
        raw = path.read_bytes()
    except OSError as error:
        return {**report, "error": f"cannot be read: {error.strerror}", "status": 2}
    try:
        encoding = "utf-8" if notebook else tokenize.detect_encoding(io.BytesIO(raw).readline)[0]
        source = raw.decode(encoding)
    except (SyntaxError, UnicodeDecodeError) as error:
        kind = "a notebook" if notebook else "Python source"
        return {**report, "error": f"cannot be read as {kind}: {error}", "status": 1}
    result = (migrate_notebook if notebook else migrate_source)(source, always, _beside(path))
    if result.error is not None:
        report["notes"] = [asdict(result.error)]
        return {**report, "error": "left alone", "status": 1}
    report["notes"] = [asdict(note) for note in result.notes]
    report["status"] = 1 if result.notes else 0
    if result.text != source:
        report["changed"] = True
        report["diff"] = "".join(_diff(source, result.text, path))
        if write:
            try:
                _write(path, result.text.encode(encoding))
            except OSError as error:
                return {**report, "changed": False, "error": f"cannot be written: {error}", "status": 2}
    return report


def _beside(path: Path) -> set[str]:
    """Return the names of modules beside a file, and beside the folder that it is in."""
    folder = path.resolve().parent
    places = [place for place in (folder, folder.parent) if os.access(place, os.R_OK)]
    return {p.stem for place in places for p in place.iterdir() if p.suffix == ".py" or p.is_dir()}


def _diff(old: str, new: str, path: Path) -> Iterator[str]:
    before, after = (re.findall(r"[^\n]*\n|[^\n]+$", text) for text in (old, new))
    for line in difflib.unified_diff(before, after, str(path), f"{path} (bert4keras2)"):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _write(path: Path, content: bytes) -> None:
    """Write a file beside and rename it; what was there first stays as *.orig."""
    path = path.resolve()  # a link stays a link
    backup = path.with_name(path.name + ".orig")
    if not backup.exists():
        shutil.copy2(path, backup)
    with atomic_path(path) as partial:
        Path(partial).write_bytes(content)
        shutil.copymode(path, partial)


def _print(report: dict[str, Any], write: bool) -> None:
    path = report["path"]
    if report["changed"]:
        print(f"{path}: rewritten" if write else report["diff"], end="\n" if write else "")
    for note in (Note(**note) for note in report["notes"]):
        cell = f"cell {note.cell}:" if note.cell else ""
        print(f"{path}:{cell}{note.line}:{note.column}: {note.construct}\n    -> {note.replacement}")
    if report["error"]:
        print(f"{path}: {report['error']}")


def _summary(reports: list[dict[str, Any]], write: bool) -> None:
    changed = sum(report["changed"] for report in reports)
    notes = sum(len(report["notes"]) for report in reports)
    verb = "rewritten" if write else "would change (--write does it)"
    print(f"{len(reports)} file(s) read, {changed} {verb}, {notes} place(s) for a person to look at", file=sys.stderr)
