"""The command `bert4keras2 shrink`; `python -m bert4keras2.shrink` does the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["main"]

EPILOG = "What is cut by width or blocks has forgotten much: go on with `pretrain` (start=) or `distill`."


def main(arguments: Sequence[str] | None = None, prog: str = "python -m bert4keras2.shrink") -> int:
    """Cut a model from the command line, and return the exit status: 1 if it cannot be done.

    Args:
        arguments: those of the command; sys.argv's if None.
        prog: how the command is called, for its help.
    """
    from bert4keras2.pretraining.shrink_settings import ShrinkSettings
    from bert4keras2.settings import run_command

    def work(settings: Any) -> str:
        from bert4keras2.pretraining.shrink import shrink

        return shrink(settings).summary()

    return run_command(ShrinkSettings, work, arguments, prog, "Cut a model's vocabulary, blocks and width.", EPILOG)


if __name__ == "__main__":
    raise SystemExit(main())
