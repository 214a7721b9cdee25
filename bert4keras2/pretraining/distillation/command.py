"""The command `bert4keras2 distill`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]

EPILOG = """Vectors of texts are learnt between any two models, hidden states and attention between two of
one vocabulary. An interrupted run goes on when the same command is given again.
"""


def main(arguments: Sequence[str] | None = None, prog: str = "python -m bert4keras2 distill") -> int:
    """Distil a model from the command line, and return the exit status: 1 if it cannot be done.

    Args:
        arguments: those of the command; sys.argv's if None.
        prog: how the command is called, for its help.
    """
    import bert4keras2.quiet  # noqa: F401  before TensorFlow
    from bert4keras2.pretraining.command import report
    from bert4keras2.pretraining.distillation.config import DistillationConfig
    from bert4keras2.pretraining.settings import settings_from

    description = "Let a small model learn from a large one."
    make = settings_from(DistillationConfig, arguments, prog, description, EPILOG)
    try:
        config = make()
        from bert4keras2.pretraining.distillation.run import distill

        result = distill(config)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    report(result)
    return 0
