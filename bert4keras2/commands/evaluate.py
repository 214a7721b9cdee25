"""The command `bert4keras2 evaluate`: how well a saved task does on labelled rows."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from typing import Any

from bert4keras2.commands.saved_task import run_on_task, task_parser

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None, prog: str = "python -m bert4keras2.commands.evaluate") -> int:
    """Evaluate from the command line, and return the exit status: 1 if it cannot be done.

    Args:
        arguments: those of the command; sys.argv's if None.
        prog: how the command is called, for its help.

    Raises:
        SystemExit: after help (0) or arguments that there are not (2).
    """
    parser = task_parser(prog, "Tell how well a saved task does on labelled rows.")
    parser.add_argument("file", help="CSV, TSV, JSON Lines or JSON file of rows with labels")
    parser.add_argument(
        "--columns", type=json.loads, metavar="JSON", help='{"text": name or number of the column, ...}'
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON, without tables")
    return run_on_task(parser, arguments, _evaluate)


def _evaluate(given: argparse.Namespace, load: Callable[[], Any]) -> None:
    from bert4keras2.tasks import read_rows

    rows = read_rows(given.file, given.columns)
    report = load().evaluate(rows)
    print(json.dumps({**report.metrics, "rows": report.rows}) if given.json else report)


if __name__ == "__main__":
    raise SystemExit(main())
