"""What goes wrong with the files of models, all of it kinds of `CheckpointError`; nothing here needs a package."""

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
    """Anything that keeps a checkpoint, its configuration or its vocabulary from being found, read or written."""


class CheckpointNotFoundError(CheckpointError, FileNotFoundError):
    """The file, or a file that belongs to it, is not there."""

    # OSError formats itself from errno and strerror; here the message is everything.
    __str__ = Exception.__str__


class CheckpointDamagedError(CheckpointError, ValueError):
    """The file is cut short or its bytes have changed."""


class CheckpointFormatError(CheckpointError, ValueError):
    """The file is something else than it should be, or says what cannot be built."""


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
