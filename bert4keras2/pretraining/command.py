"""The command `bert4keras2 pretrain`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

__all__ = ["main", "report"]

EPILOG = """A configuration is a TOML or JSON file with the names of the options below; options win over it:

    corpus = ["news.txt.gz", "questions.jsonl"]
    output = "my-model"
    recipe = "roformer_v2"
    steps = 20000

An interrupted run goes on when the same command is given again.
"""


def main(arguments: Sequence[str] | None = None, prog: str = "python -m bert4keras2 pretrain") -> int:
    """Pre-train a model from the command line, and return the exit status: 1 if it cannot be done.

    Args:
        arguments: those of the command; sys.argv's if None.
        prog: how the command is called, for its help.
    """
    import bert4keras2.quiet  # noqa: F401  before TensorFlow
    from bert4keras2.pretraining.config import PretrainingConfig
    from bert4keras2.pretraining.settings import settings_from

    description = "Pre-train a model from raw text, or go on with a run that was interrupted."
    make = settings_from(PretrainingConfig, arguments, prog, description, EPILOG)
    try:
        config = make()
        from bert4keras2.pretraining.run import pretrain

        result = pretrain(config)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    report(result)
    return 0


def report(result: Any) -> None:
    """Print what a run came to."""
    last = {name: round(values[-1], 4) for name, values in result.history.items() if values}
    print(f"{result.folder}: {', '.join(f'{name} {value}' for name, value in last.items())}")
    if result.tokens_per_second:
        print(f"{result.tokens_per_second:,.0f} tokens per second")
    print(f'Load it with build_transformer_model("{result.folder}") and load_tokenizer("{result.folder}").')
