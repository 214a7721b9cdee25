"""The exceptions of the checkpoint package, all of them kinds of `CheckpointError`."""

from __future__ import annotations

__all__ = [
    "AmbiguousCheckpointError",
    "CheckpointDamagedError",
    "CheckpointError",
    "CheckpointFormatError",
    "CheckpointMismatchError",
    "CheckpointNotFoundError",
    "MissingVariableError",
    "UnknownVariablesError",
]


class CheckpointError(Exception):
    """Anything that keeps a checkpoint from being found, read or written."""


class CheckpointNotFoundError(CheckpointError, FileNotFoundError):
    """The file, or a file that belongs to it, is not there."""

    # OSError formats itself from errno and strerror; here the message is everything.
    __str__ = Exception.__str__


class CheckpointDamagedError(CheckpointError, ValueError):
    """The file is cut short or its bytes have changed."""


class CheckpointFormatError(CheckpointError, ValueError):
    """The file is no checkpoint of a format that these readers know."""


class AmbiguousCheckpointError(CheckpointError, ValueError):
    """A folder holds several files that could be meant."""


class MissingVariableError(CheckpointError, KeyError):
    """The checkpoint has no variable of that name."""

    # KeyError prints the repr of its message, which would escape every quote in it.
    __str__ = Exception.__str__


class CheckpointMismatchError(CheckpointError, ValueError):
    """The checkpoint is readable but does not hold what the model needs."""


class UnknownVariablesError(CheckpointError, ValueError):
    """The checkpoint holds variables that the family's table does not know."""
