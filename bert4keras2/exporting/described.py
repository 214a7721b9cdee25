"""`export.json`: what an exported model's folder says of it."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass, field
from typing import Any

from bert4keras2.checkpoints.folder import find_weights
from bert4keras2.errors import CheckpointError, CheckpointFormatError
from bert4keras2.files import read_json, write_text

__all__ = ["Description", "described", "refuse_checkpoint"]

FILE, FORMAT = "export.json", 1
KINDS = ("encoder", "vectors", "task", "generator")


@dataclass(frozen=True)
class Description:
    """An exported model, and what has to be known to use it.

    Attributes:
        kind: "encoder" (ids to hidden states), "vectors" (ids to one vector a text), "task" or "generator" (a step).
        to: the format, one of `FORMATS`.
        file: the model's file or folder, beside export.json.
        inputs: names of the inputs, int32 arrays (batch, length), in the model's order.
        outputs: names of the outputs.
        length: the only length that the model takes; None for any.
        pad_id: the token id that is padding.
        limits: as of `IdLimits.as_dict`: which ids and lengths the model knows.
        width: the size of the last axis of the first output, None where it varies.
        int8: whether weights are int8.
        options: what the texts are made into ids by, and the outputs into answers: maxlen, prefix, pooling...
        parts: what the task needs beside the model's outputs.
    """

    kind: str
    to: str
    file: str
    inputs: list[str]
    outputs: list[str]
    length: int | None = None
    pad_id: int = 0
    limits: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    width: int | None = None
    int8: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)

    def write(self, folder: str) -> None:
        """Write export.json into a folder."""
        said = {"format": FORMAT, **dataclasses.asdict(self)}
        write_text(os.path.join(folder, FILE), json.dumps(said, ensure_ascii=False, indent=1) + "\n")


def described(folder: str | os.PathLike) -> Description | None:
    """Return what an exported model's folder says of it, None if the folder is none.

    Raises:
        CheckpointFormatError: if export.json is of a newer version or damaged.
    """
    path = os.path.join(os.fspath(folder), FILE)
    if not os.path.isfile(path):
        return None
    said = read_json(path, "a description of an exported model")
    number = said.pop("format", None)
    if isinstance(number, int) and number > FORMAT:
        raise CheckpointFormatError(f"{path} is of a newer version of bert4keras2 (format {number}): update it")
    try:
        found = Description(**said)
    except TypeError as error:
        raise CheckpointFormatError(f"{path} does not describe an exported model ({error}): export it again") from None
    if found.kind not in KINDS or not found.inputs or os.path.basename(found.file) != found.file:
        raise CheckpointFormatError(f"{path} does not describe an exported model: export it again")
    return found


def refuse_checkpoint(folder: str) -> None:
    """Raise a ValueError if a folder holds a checkpoint: it would be taken for the exported model, or this for it."""
    try:
        path, _ = find_weights(folder)
    except CheckpointError:
        return
    raise ValueError(f"{folder} holds a checkpoint ({os.path.basename(path)}): export to a folder of its own")
