"""The command `bert4keras2 shrink`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]

EPILOG = "What is cut by width or blocks has forgotten much: go on with `pretrain` (start=) or `distill`."


def main(arguments: Sequence[str] | None = None, prog: str = "python -m bert4keras2 shrink") -> int:
    """Cut a model from the command line, and return the exit status: 1 if it cannot be done.

    Args:
        arguments: those of the command; sys.argv's if None.
        prog: how the command is called, for its help.
    """
    import bert4keras2.quiet  # noqa: F401  before TensorFlow
    from bert4keras2.pretraining.settings import settings_from
    from bert4keras2.pretraining.shrink import ShrinkSettings, shrink

    make = settings_from(ShrinkSettings, arguments, prog, "Cut a model's vocabulary, blocks and width.", EPILOG)
    try:
        done = shrink(make())
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    before, after = done.parameters
    print(f"{done.folder}: {after:,} of {before:,} parameters")
    if done.coverage < 1:
        print(f"Its vocabulary has {done.coverage:.4%} of the corpus' tokens.")
    return 0
