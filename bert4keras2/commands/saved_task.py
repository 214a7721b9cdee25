"""What the commands on the folder of a saved task share: its argument, loading it, and errors in a line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["run_on_task", "task_parser"]


def task_parser(prog: str, description: str) -> argparse.ArgumentParser:
    """Return a parser with the folder of a task and the number of texts at once.

    Args:
        prog: how the command is called, for its help.
        description: what it does.
    """
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("folder", help="folder of a saved task, or of a classifier of Hugging Face's")
    parser.add_argument("--batch-size", type=int, help="texts at once")
    return parser


def run_on_task(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    action: Callable[[argparse.Namespace, Callable[[], Any]], None],
) -> int:
    """Run a command, and return the exit status: 1, after a line that says why, if it cannot be done.

    Args:
        parser: of `task_parser`, with the command's own arguments.
        arguments: those of the command; sys.argv's if None.
        action: called with the arguments and a function that loads the task, so that wrong files are found before.

    Raises:
        SystemExit: after help (0) or arguments that there are not (2).
    """
    given = parser.parse_args(arguments)
    import bert4keras2.quiet  # noqa: F401  before TensorFlow

    def load() -> Any:
        from bert4keras2.tasks import load_task

        task = load_task(given.folder, **({} if given.batch_size is None else {"batch_size": given.batch_size}))
        if not hasattr(task, "predict_rows"):
            raise ValueError(
                f"{given.folder} holds a {type(task).__name__}, which is used in Python: load_task(folder)"
            )
        return task

    try:
        action(given, load)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
