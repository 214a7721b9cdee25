"""Converting checkpoints by the tables alone, name to name and variable by variable: no model is built."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bert4keras2.checkpoints.conversion.configuration import config_for
from bert4keras2.checkpoints.conversion.plan import Piece, Plan, equal, plan_for, value
from bert4keras2.checkpoints.conversion.targets import publish, refuse_existing, staging, target_for
from bert4keras2.checkpoints.folder import GENERATOR, companions, find_checkpoint, find_config, find_weights
from bert4keras2.checkpoints.formats.reader import Reader
from bert4keras2.checkpoints.formats.safetensors import write_safetensors
from bert4keras2.checkpoints.formats.tensorflow_write import write_tensorflow
from bert4keras2.checkpoints.matches import SOURCES, family_for, matches_of
from bert4keras2.checkpoints.names.matching import Matches
from bert4keras2.checkpoints.names.recognise import looks_like
from bert4keras2.checkpoints.readers import open_checkpoint
from bert4keras2.errors import (
    CheckpointDamagedError,
    CheckpointError,
    CheckpointNotFoundError,
    UnknownVariablesError,
)
from bert4keras2.families.config import of_file, read_config
from bert4keras2.families.table import FAMILY_KEY, guess_family

__all__ = ["Conversion", "convert"]

TARGETS = ("tensorflow", "huggingface")
CONFIG_NAMES = {"tensorflow": "bert_config.json", "huggingface": "config.json"}
DTYPES = ("float32", "float16", "bfloat16")


@dataclass
class Conversion:
    """What a conversion did.

    Args:
        source: path of the weights that were read.
        target: path of the weights that were written.
        family: of the model.
        formats: the formats of both.
        reason: why this target format, "" if it was asked for.
        variables: number of variables written, each of them read back and compared.
        size: of their values in bytes.
        left_out: names that hold no weights (optimizer slots, copies of tied matrices).
        unknown: names that the tables do not know, dropped because the caller said so.
        overflows: names of variables in which values are too large for the dtype asked for, and became infinite.
        files: what was written.
    """

    source: str
    target: str
    family: str
    formats: tuple[str, str]
    reason: str = ""
    variables: int = 0
    size: int = 0
    left_out: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    overflows: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    to: str | None = None,
    model: str | None = None,
    dtype: str | None = None,
    config: str | os.PathLike[str] | None = None,
    force: bool = False,
    ignore_unknown: bool = False,
    progress: Callable[[Iterator[Any], int, str], Iterator[Any]] | None = None,
) -> Conversion:
    """Convert a checkpoint to TensorFlow's or Hugging Face's names, with configuration and vocabulary.

    All variables that the family's tables know come along, those of heads too. Nothing appears at the target before
    all of it has been written, read back and compared.

    Args:
        source: folder of a checkpoint, prefix of a TensorFlow one, or a safetensors, PyTorch or Keras 2 HDF5 file.
        target: a folder, a TensorFlow prefix ("x/bert_model.ckpt") or a file ending in ".safetensors".
        to: "tensorflow" or "huggingface". If None: by the target's ending; a folder gets Hugging Face's format, or
            TensorFlow's if the source is in the former.
        model: name of the family; if None, what the configuration or else the variables say.
        dtype: "float32", "float16" or "bfloat16" for the floating variables; their own if None.
        config: the JSON, where it does not lie beside the weights.
        force: overwrite files at the target.
        ignore_unknown: drop variables that the table does not know, instead of refusing.
        progress: called with (iterator, length, title), returns an iterator of the same, such as tqdm's.

    Returns:
        What was done.

    Raises:
        CheckpointError: if the source cannot be read, the target exists, or the format has no names for the family.
        UnknownVariablesError: if the source holds variables that would be lost.
        ValueError: for an unknown family, format or dtype.
    """
    if to not in (None, *TARGETS):
        raise ValueError(f"A checkpoint is converted to 'tensorflow' or 'huggingface', not to {to!r}")
    if dtype not in (None, *DTYPES):
        raise ValueError(f"dtype is one of {', '.join(DTYPES)}, not {dtype!r}")
    path, config_path = _find(os.fspath(source), config)
    settings = read_config(config_path)
    with open_checkpoint(path) as reader:
        if reader.format not in SOURCES:
            raise CheckpointError(
                f"{path!r} is a {reader.format} checkpoint, which numbers layers instead of naming variables. Load it "
                "into its model with load_weights, and write that with save_weights_as_checkpoint."
            )
        kind = SOURCES[reader.format]
        place = target_for(os.fspath(target), to, kind)
        with of_file(config_path):
            family = family_for(reader, settings, model)
            matches = matches_of(reader, family, settings)
        if matches.unknown and not ignore_unknown:
            raise UnknownVariablesError(_unknown_message(reader, family, matches))
        done = Conversion(
            reader.path,
            os.path.join(place.folder, place.weights),
            family,
            (reader.format, "safetensors" if place.to == "huggingface" else "tensorflow"),
            place.reason,
            left_out=matches.left_out,
            unknown=matches.unknown,
        )
        plan = plan_for(matches, family, place.to)
        with of_file(config_path):
            content = config_for(place.to, settings, family, kind, matches.found)
        if (guess_family(content) or looks_like(list(plan))) != family:
            content[FAMILY_KEY] = family  # models that differ in their TensorFlow names alone are one there
        if place.to == "huggingface":
            content.pop("dtype", None)
            content["torch_dtype"] = dtype or reader.dtype(next(iter(matches.found.values())).name)
        json_text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
        folder = os.path.dirname(os.path.abspath(config_path))
        copied = companions(folder, place.to)
        if os.path.isfile(os.path.join(folder, GENERATOR)):
            copied[GENERATOR] = os.path.join(folder, GENERATOR)
        names = [CONFIG_NAMES[place.to], *copied]
        refuse_existing(place, names, force)
        with staging(place) as work:
            with open(os.path.join(work, names[0]), "w", encoding="utf-8") as file:
                file.write(json_text)
            for name, path in copied.items():
                shutil.copyfile(path, os.path.join(work, name))
            _write(reader, plan, os.path.join(work, place.weights), place.to, dtype, progress, done)
            _compare(reader, plan, os.path.join(work, place.weights), dtype, progress)
            done.files = publish(work, place)
    return done


def _find(source: str, config: str | os.PathLike[str] | None) -> tuple[str, str]:
    """Return the paths of weights and configuration."""
    if os.path.isdir(source):
        if config is not None:
            return find_weights(source)[0], os.fspath(config)
        found = find_checkpoint(source)
        return found.checkpoint_path, found.config_path
    if config is None:
        folder = os.path.dirname(os.path.abspath(source))
        if os.path.isdir(folder):
            try:
                config = find_config(
                    folder, "safetensors" if source.endswith((".safetensors", ".bin")) else "tensorflow"
                )
            except CheckpointNotFoundError as error:
                raise CheckpointNotFoundError(f"{error} Or pass the path of the JSON as --config (config=).") from None
        else:
            raise CheckpointNotFoundError(f"There is no folder {folder!r}; check the path.")
    return source, os.fspath(config)


def _write(
    reader: Reader, plan: Plan, path: str, to: str, dtype: str | None, progress: Callable | None, done: Conversion
) -> None:
    def arrays() -> Iterator[tuple[str, np.ndarray]]:
        for name, pieces in _shown(plan, progress, "Converting"):
            array = value(reader, pieces, dtype)
            if dtype == "float16" and np.isinf(array).any() and np.isfinite(value(reader, pieces, None)).all():
                done.overflows.append(name)
            done.variables += 1
            done.size += array.nbytes
            yield name, array
            del array  # or it would stay alive while the next one is read

    if to == "huggingface":
        write_safetensors(path, arrays(), metadata={"format": "pt"})
    else:
        write_tensorflow(path, arrays())


def _compare(reader: Reader, plan: Plan, path: str, dtype: str | None, progress: Callable | None) -> None:
    """Read everything back and compare it bit by bit with what should be there."""
    with open_checkpoint(path) as written:
        if set(written.names()) != set(plan):
            raise CheckpointDamagedError(f"{path!r} does not hold the variables that were written to it")
        for name, pieces in _shown(plan, progress, "Comparing"):
            wanted, got = value(reader, pieces, dtype), written.read(name)
            if not equal(wanted, got):
                raise CheckpointDamagedError(
                    f"{name!r} was written and read back with other values: is the disk full or faulty?"
                )
            del wanted, got  # or they would stay alive while the next ones are read


def _shown(plan: Plan, progress: Callable | None, title: str) -> Iterator[tuple[str, list[Piece]]]:
    items = iter(plan.items())
    return items if progress is None else progress(items, len(plan), title)


def _unknown_message(reader: Reader, family: str, matches: Matches) -> str:
    shown = "".join(f"\n  {name} {list(reader.shape(name))}" for name in matches.unknown[:10])
    more = f"\n  ... and {len(matches.unknown) - 10} more" if len(matches.unknown) > 10 else ""
    return (
        f"{reader.path!r} holds {len(matches.unknown)} variables that {family} models do not have, and "
        f"{len(matches.found)} that they have:{shown}{more}\nPass --ignore-unknown (ignore_unknown=True) to leave them "
        "out, or the right family as --model (model=)."
    )
