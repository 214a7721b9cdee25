"""The command `bert4keras2 serve`: a saved task as a web service with a page to try it on."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None, prog: str = "python -m bert4keras2.commands.serve") -> int:
    """Serve from the command line until interrupted, and return the exit status: 1 if it cannot be done.

    Args:
        arguments: those of the command; sys.argv's if None.
        prog: how the command is called, for its help.

    Raises:
        SystemExit: after help (0) or arguments that there are not (2).
    """
    parser = argparse.ArgumentParser(
        prog=prog, description="Serve a saved task: JSON at /predict, a page to type a text into at /."
    )
    parser.add_argument("folder", help="folder of a saved task, or of a classifier of Hugging Face's")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this computer alone)")
    parser.add_argument("--port", type=int, default=8000, help="port; 0 for one that is free (default: 8000)")
    parser.add_argument("--server", help="a server that bottle knows, such as waitress (default: Python's own)")
    parser.add_argument("--batch-size", type=int, help="texts at once")
    given = parser.parse_args(arguments)
    import bert4keras2.quiet  # noqa: F401  before TensorFlow

    try:
        from bert4keras2.service import task_service
        from bert4keras2.tasks import load_task

        options = {} if given.batch_size is None else {"batch_size": given.batch_size}
        task_service(load_task(given.folder, **options), given.host, given.port, given.server).start()
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
