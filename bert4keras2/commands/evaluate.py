"""The command `bert4keras2 evaluate`: how well a saved task does on labelled rows."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None, prog: str = "python -m bert4keras2.commands.evaluate") -> int:
    """Evaluate from the command line, and return the exit status: 1 if it cannot be done.

    Args:
        arguments: those of the command; sys.argv's if None.
        prog: how the command is called, for its help.

    Raises:
        SystemExit: after help (0) or arguments that there are not (2).
    """
    parser = argparse.ArgumentParser(prog=prog, description="Tell how well a saved task does on labelled rows.")
    parser.add_argument("folder", help="folder of a saved task, or of a classifier of Hugging Face's")
    parser.add_argument("file", help="CSV, TSV, JSON Lines or JSON file of rows with labels")
    parser.add_argument(
        "--columns", type=json.loads, metavar="JSON", help='{"text": name or number of the column, ...}'
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON, without tables")
    parser.add_argument("--batch-size", type=int, help="texts at once")
    given = parser.parse_args(arguments)
    import bert4keras2.quiet  # noqa: F401  before TensorFlow

    try:
        from bert4keras2.tasks import load_task, read_rows

        rows = read_rows(given.file, given.columns)
        options = {} if given.batch_size is None else {"batch_size": given.batch_size}
        report = load_task(given.folder, **options).evaluate(rows)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps({**report.metrics, "rows": report.rows}) if given.json else report)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
