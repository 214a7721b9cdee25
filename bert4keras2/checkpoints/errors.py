"""The errors of this package by the path that scripts import them from; they are defined in `bert4keras2.errors`."""

from bert4keras2.errors import (
    AmbiguousCheckpointError,
    CheckpointDamagedError,
    CheckpointError,
    CheckpointFormatError,
    CheckpointMismatchError,
    CheckpointNotFoundError,
    MissingVariableError,
    UnknownVariablesError,
)

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
