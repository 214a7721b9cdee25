"""The command `bert4keras2 predict`: what a saved task says of texts, as JSON Lines."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bert4keras2.commands.saved_task import run_on_task, task_parser

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None, prog: str = "python -m bert4keras2.commands.predict") -> int:
    """Predict from the command line, and return the exit status: 1 if it cannot be done.

    Args:
        arguments: those of the command; sys.argv's if None.
        prog: how the command is called, for its help.

    Raises:
        SystemExit: after help (0) or arguments that there are not (2).
    """
    parser = task_parser(prog, "Tell what a saved task says of texts, as JSON Lines.")
    parser.add_argument(
        "file",
        nargs="?",
        help="CSV, TSV, JSON Lines or JSON file; of others, each line is a text, or several with tabs between"
        " (default: the standard input)",
    )
    parser.add_argument("--output", metavar="FILE", help="where to write; the standard output if not given")
    parser.add_argument(
        "--columns", type=json.loads, metavar="JSON", help='{"text": name or number of the column, ...}'
    )
    parser.add_argument("--threshold", type=float, help="least probability of labels and entities (default: 0.5)")
    return run_on_task(parser, arguments, _predict)


def _predict(given: argparse.Namespace, load: Callable[[], Any]) -> None:
    from bert4keras2.tasks import Rows, read_rows

    if given.file is None:
        rows = Rows(_lines(sys.stdin.read()), "line {}".format)
    elif os.path.splitext(given.file)[1].lower() in (".csv", ".tsv", ".json", ".jsonl"):
        rows = read_rows(given.file, given.columns)
    else:
        from bert4keras2.tasks.rows.tables import read_text

        rows = Rows(_lines(read_text(given.file)), lambda index: f"{given.file}, text {index + 1}")
    threshold = {} if given.threshold is None else {"threshold": given.threshold}
    inputs, found = load().predict_rows(rows, **threshold)
    _write(given.output, (_record(row, said, one) for row, said, one in zip(rows, inputs, found, strict=True)))


def _lines(text: str) -> list[tuple[str, ...]]:
    return [tuple(line.rstrip("\r").split("\t")) for line in text.split("\n") if line.strip()]


def _record(row: Any, said: dict[str, Any], found: Any) -> dict[str, Any]:
    """Return what is written for a row: its id if it has one, its texts, and what the task says."""
    key = {"id": row["id"]} if isinstance(row, dict) and "id" in row else {}
    from bert4keras2.tasks.predictions import answer_record

    answer = answer_record(found)
    return {**key, **said, **({"answer": answer} if said.keys() & answer.keys() else answer)}


def _write(path: str | None, records: Iterable[dict[str, Any]]) -> None:
    from bert4keras2.files import atomic_path

    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    if path is None:
        sys.stdout.writelines(lines)
        return
    with atomic_path(path) as partial, open(partial, "w", encoding="utf-8") as file:
        file.writelines(lines)


if __name__ == "__main__":
    raise SystemExit(main())
