"""Checkpoints: finding, opening, describing and converting them; what loads them into models is in `models`."""

from bert4keras2.checkpoints.conversion import Conversion, convert
from bert4keras2.checkpoints.folder import FoundCheckpoint, find_checkpoint
from bert4keras2.checkpoints.formats.reader import Reader
from bert4keras2.checkpoints.formats.safetensors import write_safetensors
from bert4keras2.checkpoints.formats.tensorflow_write import write_tensorflow
from bert4keras2.checkpoints.hub import from_hub
from bert4keras2.checkpoints.readers import open_checkpoint
from bert4keras2.checkpoints.report import Description, describe
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
    "Conversion",
    "Description",
    "FoundCheckpoint",
    "MissingVariableError",
    "Reader",
    "UnknownVariablesError",
    "convert",
    "describe",
    "find_checkpoint",
    "from_hub",
    "open_checkpoint",
    "write_safetensors",
    "write_tensorflow",
]
