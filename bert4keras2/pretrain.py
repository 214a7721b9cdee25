"""The command `bert4keras2 pretrain`; `python -m bert4keras2.pretrain` does the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["main"]

EPILOG = """A configuration is a TOML or JSON file with the names of the options below; options win over it:

    corpus = ["news.txt.gz", "questions.jsonl"]
    output = "my-model"
    recipe = "roformer_v2"
    steps = 20000

An interrupted run goes on when the same command is given again.
"""


def main(arguments: Sequence[str] | None = None, prog: str = "python -m bert4keras2.pretrain") -> int:
    """Pre-train a model from the command line, and return the exit status: 1 if it cannot be done.

    Args:
        arguments: those of the command; sys.argv's if None.
        prog: how the command is called, for its help.
    """
    from bert4keras2.pretraining.config import PretrainingConfig
    from bert4keras2.settings import run_command

    def work(settings: Any) -> str:
        from bert4keras2.pretraining.run import pretrain

        return pretrain(settings).summary()

    return run_command(
        PretrainingConfig,
        work,
        arguments,
        prog,
        "Pre-train a model from raw text, or go on with a run that was interrupted.",
        EPILOG,
    )


if __name__ == "__main__":
    raise SystemExit(main())
