"""`resolve`: from a path or a name to the path that a model, a tokenizer or a command reads."""

from __future__ import annotations

import glob
import os
import re

from bert4keras2.checkpoints.finding.advice import did_you_mean, hub_names, not_found
from bert4keras2.checkpoints.finding.embedded import embedded_models
from bert4keras2.checkpoints.formats.sniff import checkpoint_prefix
from bert4keras2.checkpoints.hub import download
from bert4keras2.errors import CheckpointNotFoundError

__all__ = ["resolve"]


def resolve(name: str | os.PathLike[str], weights: bool = True, progress: bool | None = None) -> str:
    """Return the path of what a path or a name means; every function that takes a checkpoint asks here.

    What exists on the disk is meant as it stands. Of a str that does not, 'tiny-zh' and 'tiny-zh-sim' are models in the
    package, and 'owner/name' a repository on the Hugging Face hub, as is the name alone of one that a family's page
    lists: it is downloaded, or found in the cache.

    Args:
        name: a folder, a file, a TensorFlow prefix, or the name of a model in the package or of a repository.
        weights: download these too; a tokenizer needs none.
        progress: show bars while downloading; on a terminal if None.

    Raises:
        CheckpointNotFoundError: with what the name may mean, and what to do then.
    """
    path = os.fspath(name)
    for candidate in (path, os.path.expanduser(path)):
        if _exists(candidate):
            return candidate
    if isinstance(name, str) and (embedded := embedded_models().get(name)):
        return embedded
    repository = _repository(path) if isinstance(name, str) else None
    if repository is None:
        raise CheckpointNotFoundError(not_found(path))
    try:
        return download(repository, weights=weights, progress=progress)
    except (ImportError, CheckpointNotFoundError) as error:
        hint = did_you_mean(repository)
        raise CheckpointNotFoundError(f"{path!r} is no file or folder here. {error}{hint}") from error


def _exists(path: str) -> bool:
    """Whether there is a file, a folder, or any part of a TensorFlow checkpoint."""
    parts = (".index", ".data-*")
    prefix = glob.escape(checkpoint_prefix(path))
    return os.path.exists(path) or any(next(glob.iglob(prefix + part), None) for part in parts)


def _repository(name: str) -> str | None:
    """Return the repository that a name means, None if it can only be a path."""
    if name in hub_names():
        return hub_names()[name]
    owner, _, rest = name.partition("/")
    # Below a folder that is there, a missing name is a mistake in a path; nothing is asked of the network then.
    taken = os.path.isdir(owner) or rest.endswith((".json", ".txt", ".ckpt", ".safetensors", ".bin", ".h5", ".weights"))
    fits = re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name, re.ASCII)
    return name if fits and not taken else None
