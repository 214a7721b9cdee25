"""Which variables an option of an optimizer means: patterns that are searched in a variable's path."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from typing import Any

__all__ = ["Patterns", "path_of", "warn_unmatched"]


def path_of(variable: Any) -> str:
    """Return the path of a variable, such as "Embedding-Token/embeddings"; the name of a bare tf.Variable."""
    return getattr(variable, "path", None) or str(variable.name)


def warn_unmatched(option: str, patterns: Iterable[str], paths: list[str]) -> None:
    """Warn of patterns that fit no variable.

    A warning, not an error: scripts pass ["Norm", "bias"] to every model, and T5.1.1 or RoFormerV2 have no bias.

    Args:
        option: the keyword that the patterns were given as.
        patterns: those that fit nothing.
        paths: the paths of all variables.
    """
    for pattern in patterns:
        shown = ", ".join(repr(path) for path in paths[:4]) + (", ..." if len(paths) > 4 else "")
        warnings.warn(
            f"{option}: {pattern!r} fits none of the {len(paths)} variables, so it has no effect. "
            f"Patterns are case-sensitive; the variables are {shown}",
            stacklevel=2,
        )


class Patterns:
    """Regular expressions, searched case-sensitively in the path of a variable.

    Args:
        option: the keyword that they were given as, for messages.
        patterns: the expressions, such as ["Norm", "bias"]; None means none.

    Raises:
        ValueError: if there is a plain string in place of a list, or one is no regular expression.
    """

    def __init__(self, option: str, patterns: Iterable[str] | None):
        if isinstance(patterns, str):
            raise ValueError(f"{option} is a list of patterns; for one pattern write [{patterns!r}]")
        self.option, self.patterns = option, list(patterns or ())
        for pattern in self.patterns:
            try:
                re.compile(pattern)
            except (re.error, TypeError) as error:
                raise ValueError(f"{option}: {pattern!r} is no regular expression ({error})") from error

    def matches(self, path: str) -> bool:
        """Whether any of the patterns is found in a path."""
        return any(re.search(pattern, path) for pattern in self.patterns)

    def of(self, variables: Iterable[Any]) -> list[bool]:
        """Return for each variable whether it is meant, and warn of patterns that mean none."""
        paths = [path_of(variable) for variable in variables]
        warn_unmatched(self.option, [p for p in self.patterns if not any(re.search(p, path) for path in paths)], paths)
        return [self.matches(path) for path in paths]
