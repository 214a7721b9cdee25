"""The command `bert4keras2 distill`; `python -m bert4keras2.distill` does the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["main"]

EPILOG = """Vectors of texts are learnt between any two models, hidden states and attention between two of
one vocabulary. An interrupted run goes on when the same command is given again.
"""


def main(arguments: Sequence[str] | None = None, prog: str = "python -m bert4keras2.distill") -> int:
    """Distil a model from the command line, and return the exit status: 1 if it cannot be done.

    Args:
        arguments: those of the command; sys.argv's if None.
        prog: how the command is called, for its help.
    """
    from bert4keras2.pretraining.distillation.config import DistillationConfig
    from bert4keras2.settings import run_command

    def work(settings: Any) -> str:
        from bert4keras2.pretraining.distillation.run import distill

        return distill(settings).summary()

    return run_command(DistillationConfig, work, arguments, prog, "Let a small model learn from a large one.", EPILOG)


if __name__ == "__main__":
    raise SystemExit(main())
