"""The command `bert4keras2 serve`: a saved task as a web service with a page to try it on."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from bert4keras2.commands.saved_task import run_on_task, task_parser

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None, prog: str = "python -m bert4keras2.commands.serve") -> int:
    """Serve from the command line until interrupted, and return the exit status: 1 if it cannot be done.

    Args:
        arguments: those of the command; sys.argv's if None.
        prog: how the command is called, for its help.

    Raises:
        SystemExit: after help (0) or arguments that there are not (2).
    """
    parser = task_parser(prog, "Serve a saved task: JSON at /predict, a page to type a text into at /.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this computer alone)")
    parser.add_argument("--port", type=int, default=8000, help="port; 0 for one that is free (default: 8000)")
    parser.add_argument("--server", help="a server that bottle knows, such as waitress (default: Python's own)")
    return run_on_task(parser, arguments, _serve)


def _serve(given: argparse.Namespace, load: Callable[[], Any]) -> None:
    from bert4keras2.service import task_service

    task_service(load(), given.host, given.port, given.server).start()


if __name__ == "__main__":
    raise SystemExit(main())
