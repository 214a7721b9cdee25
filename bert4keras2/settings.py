"""Settings of a run: a small TOML or JSON file, each value also as a flag."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from bert4keras2.arguments import positive, whole_number

__all__ = ["Settings", "about", "check_choice", "checked_shares", "read_file", "run_command"]

S = TypeVar("S", bound="Settings")


def about(text: str, default: Any = dataclasses.MISSING, factory: Any = dataclasses.MISSING) -> Any:
    """Return the field of a value, with what it means."""
    return dataclasses.field(default=default, default_factory=factory, metadata={"help": text})


class Settings:
    """Base of dataclasses whose values come from files and flags."""

    @classmethod
    def make(cls: type[S], values: Mapping[str, Any]) -> S:
        """Return the settings of values by name.

        Raises:
            ValueError: for a name that there is not, with the nearest one, and for a value that cannot be.
        """
        known = {one.name: one for one in dataclasses.fields(cls)}
        for name in values:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
                raise ValueError(f"the configuration has an unknown key {name!r}: {hint}")
        for name, one in known.items():
            if name not in values and one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING:
                raise ValueError(f"{name} is missing: {one.metadata['help']}")
        return cls(**values)

    def values(self) -> dict[str, Any]:
        """Return all values by name."""
        return dataclasses.asdict(self)

    def check_numbers(self, from_zero: Iterable[str] = (), positive_ones: Iterable[str] = ()) -> None:
        """Raise a ValueError that names the first value of a type int that is no whole number in its range.

        Args:
            from_zero: those that may be 0; others begin with 1.
            positive_ones: numbers above 0, or None.
        """
        for one in dataclasses.fields(self):
            value = getattr(self, one.name)
            if one.type == "int" or (one.type == "int | None" and value is not None):
                whole_number(one.name, value, 0 if one.name in from_zero else 1)
        for name in positive_ones:
            if getattr(self, name) is not None:
                positive(name, getattr(self, name))


def check_choice(name: str, value: Any, known: Iterable[str]) -> None:
    """Raise a ValueError if a value is none of those known, with the nearest one."""
    known = list(known)
    if value not in known:
        close = difflib.get_close_matches(str(value), known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"{name} is one of {', '.join(map(repr, known))}, not {value!r}{hint}")


def checked_shares(given: Any) -> dict[float, float]:
    """Return a schedule as {share of all steps: factor}.

    Raises:
        ValueError: if it is none, or its shares do not increase from 0 to 1.
    """
    try:
        points = {float(share): float(factor) for share, factor in given.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"schedule is {{share of all steps: factor}}, not {given!r}") from error
    if not points or list(points) != sorted(points) or not all(0 <= share <= 1 for share in points):
        raise ValueError(f"the shares of a schedule go from 0 to 1 and increase; found {given!r}")
    return points


def read_file(path: str | os.PathLike) -> dict[str, Any]:
    """Return the values of a TOML or JSON file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is neither, with the place of the fault.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no configuration file {path!r}")
    with open(path, "rb") as file:
        data = file.read()
    try:
        text = data.decode("utf-8-sig")
        found = json.loads(text) if path.endswith(".json") else _toml().loads(text)
    except ValueError as error:  # UnicodeDecodeError, JSONDecodeError and TOMLDecodeError among them
        kind = "JSON" if path.endswith(".json") else "TOML"
        raise ValueError(f"{path} is not {kind} in UTF-8: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} should hold an object, but holds a {type(found).__name__}")
    return found


def _toml() -> Any:
    try:
        import tomllib
    except ImportError:  # Python 3.10
        import tomli as tomllib
    return tomllib


def run_command(
    kind: type[S],
    work: Callable[[S], str],
    arguments: Sequence[str] | None,
    prog: str,
    description: str,
    epilog: str,
) -> int:
    """Run a command whose arguments are settings, and return its exit status: 1 if it cannot be done.

    Args:
        kind: of the settings.
        work: does what they say, and returns what to print; it imports what it takes, which help does not need.
        arguments: those of the command; sys.argv's if None.
        prog, description, epilog: for the command's help.

    Raises:
        SystemExit: after help (0) or arguments that there are not (2).
    """
    import bert4keras2.quiet  # noqa: F401  before TensorFlow

    parser = argparse.ArgumentParser(
        prog=prog, description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", nargs="?", help="TOML or JSON file with any of the values below")
    for one in dataclasses.fields(kind):
        _add(parser, one)
    options = vars(parser.parse_args(arguments))
    path = options.pop("config")
    try:
        print(work(kind.make({**({} if path is None else read_file(path)), **options})))
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
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
    elif kind.startswith("list"):
        settings |= {"nargs": "+", "type": int if "int" in kind else str}
    elif kind.startswith("dict"):
        settings |= {"type": json.loads, "metavar": "JSON"}
    else:
        settings |= {"type": {"int": int, "float": float, "str": str}[kind], "metavar": kind.upper()}
    parser.add_argument(name, **settings)
