"""The command `bert4keras2 pretrain`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
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


def main(arguments: Sequence[str] | None = None, prog: str = "python -m bert4keras2 pretrain") -> int:
    """Pre-train a model from the command line, and return the exit status: 1 if it cannot be done.

    Args:
        arguments: those of the command; sys.argv's if None.
        prog: how the command is called, for its help.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from bert4keras2.pretraining.config import PretrainingConfig, read_file

    parser = argparse.ArgumentParser(
        prog=prog,
        description="Pre-train a model from raw text, or go on with a run that was interrupted.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", nargs="?", help="TOML or JSON file")
    for one in dataclasses.fields(PretrainingConfig):
        _add(parser, one)
    options = vars(parser.parse_args(arguments))
    path = options.pop("config")
    try:
        values = {} if path is None else read_file(path)
        config = PretrainingConfig.make({**values, **options})
        from bert4keras2.pretraining.run import pretrain

        result = pretrain(config)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    last = {name: round(values[-1], 4) for name, values in result.history.items() if values}
    print(f"{result.folder}: {', '.join(f'{name} {value}' for name, value in last.items())}")
    if result.tokens_per_second:
        print(f"{result.tokens_per_second:,.0f} tokens per second")
    print(f'Load it with build_transformer_model("{result.folder}") and load_tokenizer("{result.folder}").')
    return 0


def _add(parser: argparse.ArgumentParser, one: dataclasses.Field) -> None:
    """Add the option for a value; those that are not given are left out of the result."""
    kind = one.type.removesuffix(" | None")
    default = None if one.default is dataclasses.MISSING else one.default
    text = one.metadata["help"] + (f" (default: {default})" if default not in (None, False, True) else "")
    settings: dict[str, Any] = {"help": text.replace("%", "%%"), "default": argparse.SUPPRESS}
    name = f"--{one.name.replace('_', '-')}"
    if kind == "bool":
        settings["action"] = argparse.BooleanOptionalAction
    elif kind == "list[str]":
        settings["nargs"] = "+"
    elif kind.startswith("dict"):
        settings |= {"type": json.loads, "metavar": "JSON"}
    else:
        settings |= {"type": {"int": int, "float": float, "str": str}[kind], "metavar": kind.upper()}
    parser.add_argument(name, **settings)
