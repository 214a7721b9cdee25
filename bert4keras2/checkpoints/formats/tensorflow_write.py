"""Writes TensorFlow checkpoints of variables by name, one variable in memory at a time."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np

from bert4keras2.checkpoints.encodings.crc32c import crc32c, masked
from bert4keras2.checkpoints.formats.sniff import checkpoint_prefix
from bert4keras2.checkpoints.formats.tensorflow_index import (
    TYPES,
    Entry,
    Place,
    check_data_files,
    data_file,
    index_bytes,
    read_index,
)
from bert4keras2.errors import CheckpointError
from bert4keras2.files import move_into_place, scratch_folder, sync

__all__ = ["move_checkpoint", "write_tensorflow"]


def write_tensorflow(
    path: str | os.PathLike[str], variables: Iterable[tuple[str, np.ndarray]], shard_bytes: int | None = None
) -> str:
    """Write a name based TensorFlow checkpoint.

    The variables are taken from the iterable one after another. All files are complete before the first gets its final
    name, and at each moment the names belong to the old checkpoint or to the new one, whole.

    Args:
        path: the prefix, e.g. 'folder/bert_model.ckpt' (an `.index` at the end is dropped); the folder is made.
        variables: pairs of name and numeric array; may be a generator.
        shard_bytes: size in bytes that closes a data file, a larger variable getting one of its own; None for one file.

    Returns:
        The prefix that was written.

    Raises:
        CheckpointError: no variables, a name twice or empty, or values that are not numeric.
        OSError: if the disk takes no more; the old files are untouched.
    """
    prefix = checkpoint_prefix(os.path.abspath(os.fspath(path)))
    with scratch_folder(prefix) as work:
        made = os.path.join(work, "new")
        _write(made, prefix, variables, shard_bytes)
        move_checkpoint(made, prefix)
    return prefix


def _write(made: str, target: str, variables: Iterable[tuple[str, np.ndarray]], limit: int | None) -> None:
    entries: dict[str, Entry] = {}
    files: list[str] = []
    file: BinaryIO | None = None
    try:
        for name, value in variables:
            value = np.asarray(value)
            if not name or name in entries:
                problem = f"the name {name!r} comes twice" if name else "a variable has an empty name"
                raise CheckpointError(f"Cannot write {target!r}: {problem}; every variable needs a name of its own.")
            if value.dtype.name not in TYPES.values():
                raise CheckpointError(f"Cannot write {name!r} to {target!r}: {value.dtype} is not a numeric type.")
            if file is None or (limit is not None and file.tell() and file.tell() + value.nbytes > limit):
                if file is not None:
                    file.close()
                files.append(f"{made}.{len(files)}")
                file = open(files[-1], "wb")  # noqa: SIM115
            little = value.astype(value.dtype.newbyteorder("<"), order="C", copy=False).reshape(-1).view(np.uint8)
            place = Place(len(files) - 1, file.tell(), value.nbytes, masked(crc32c(little)))
            entries[name] = Entry(value.shape, value.dtype.name, place)
            file.write(little.data)
            del value, little  # or they would stay alive while the next one is made
    finally:
        if file is not None:
            file.close()
    if not entries:
        raise CheckpointError(f"Cannot write {target!r}: there are no variables to write.")
    for number, name in enumerate(files):
        os.rename(name, data_file(made, number, len(files)))
    write_index(made, entries, len(files))


def write_index(prefix: str, entries: dict[str, Entry], files: int) -> None:
    """Write an index file and read it back."""
    with open(prefix + ".index", "wb") as file:
        file.write(index_bytes(entries, files))
    index = read_index(prefix + ".index")
    if index is None or index.entries != entries:
        raise CheckpointError(f"The index {prefix!r} was read back otherwise than it was written: is the disk faulty?")


def move_checkpoint(made: str, prefix: str) -> None:
    """Give a checkpoint that is written its final name; at each moment the names belong to one checkpoint, whole.

    Index and data are several files and cannot be renamed at once. What names the data files is the index, by how many
    there are: new ones are laid beside old ones under another number of files, and replacing the index is the step.

    Args:
        made: the prefix that it has, on the same disk.
        prefix: the prefix that it shall have.
    """
    index = read_index(made + ".index")
    if index is None:
        raise CheckpointError(f"{made!r} is no checkpoint with an index")
    check_data_files(made, index)
    count = len(index.file_bytes)
    fresh = [data_file(prefix, number, count) for number in range(count)]
    if any(map(os.path.exists, fresh)):
        # A detour: the same data under a number of files that is not taken, until the old ones have been replaced.
        other = next(n for n in range(count + 1, count + 1000) if not os.path.exists(data_file(prefix, 0, n)))
        detour = [data_file(prefix, number, other) for number in range(other)]
        try:
            for number, path in enumerate(detour):
                _link(data_file(made, number, count) if number < count else None, path)
            write_index(f"{made}.detour", index.entries, other)
            move_into_place(f"{made}.detour.index", prefix + ".index")
        except BaseException:
            for path in filter(os.path.exists, detour):
                os.remove(path)
            raise
    for number, path in enumerate(fresh):
        move_into_place(data_file(made, number, count), path)
    move_into_place(made + ".index", prefix + ".index")
    for old in glob.glob(glob.escape(prefix) + ".data-[0-9]*-of-[0-9]*"):
        if old not in fresh:
            os.remove(old)  # of the detour, or of a checkpoint that had another number of data files


def _link(source: str | None, path: str) -> None:
    """Make a second name of a file, or a copy where the disk knows no second names; an empty file of None."""
    if source is None:
        with open(path, "wb"):
            return
    try:
        os.link(source, path)
    except OSError:
        shutil.copyfile(source, path)
        sync(path)
