"""Where a conversion writes: paths by the target's name, nothing overwritten unasked, nothing half done left behind."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from bert4keras2.checkpoints.formats.sniff import checkpoint_prefix
from bert4keras2.checkpoints.formats.tensorflow_write import move_checkpoint
from bert4keras2.errors import CheckpointError
from bert4keras2.files import move_into_place, scratch_folder, sync

__all__ = ["Target", "publish", "refuse_existing", "staging", "target_for"]


@dataclass
class Target:
    """Where to write: `weights` is the path in its folder, `whole` whether the folder itself is new."""

    to: str
    folder: str
    weights: str
    whole: bool
    reason: str


def target_for(target: str, to: str | None, source: str) -> Target:
    """Tell format and paths from what the target is called."""
    full = os.path.abspath(target)
    folder, name = os.path.split(checkpoint_prefix(full))
    by_name = {".ckpt" in name: "tensorflow", name.endswith(".safetensors"): "huggingface"}.get(True)
    if by_name is not None and not os.path.isdir(full):
        if to not in (None, by_name):
            raise ValueError(f"{target!r} is a path for {by_name} weights, but the format asked for is {to}")
        return Target(by_name, folder, name, False, f"{name!r} is a path for {by_name} weights" if to is None else "")
    reason = ""
    if to is None:
        to = "tensorflow" if source == "huggingface" else "huggingface"
        reason = f"the target is a folder, and the source is in the format of {source}"
    return Target(to, full, "bert_model.ckpt" if to == "tensorflow" else "model.safetensors", True, reason)


def refuse_existing(place: Target, names: list[str], force: bool) -> None:
    if force:
        if os.path.isfile(place.folder):
            raise CheckpointError(f"{place.folder!r} is a file; give the folder another name.")
        return
    if place.whole:
        taken = [place.folder] if os.path.isfile(place.folder) else []
        taken += sorted(os.listdir(place.folder))[:5] if os.path.isdir(place.folder) else []
    else:
        weights = f"{place.weights}.index" if place.to == "tensorflow" else place.weights
        taken = [name for name in (weights, names[0]) if os.path.exists(os.path.join(place.folder, name))]
    if taken:
        what = ", ".join(map(repr, taken))
        raise CheckpointError(
            f"Not overwriting {place.folder!r}, which holds {what}. Pass --force (force=True), or another target."
        )


def staging(place: Target) -> contextlib.AbstractContextManager[str]:
    """Return a context that gives a folder beside the target, on the same disk, and removes it at its end."""
    return scratch_folder(place.folder if place.whole else os.path.join(place.folder, place.weights))


def publish(work: str, place: Target) -> list[str]:
    """Move what was written to its place, the file that makes it a checkpoint last; return the paths."""
    names = sorted(os.listdir(work))
    if place.whole and not os.path.isdir(place.folder):
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(work, 0o777 & ~umask)  # mkdtemp's is for the owner alone
        for name in names:
            sync(os.path.join(work, name))
        os.rename(work, place.folder)
        sync(os.path.dirname(place.folder))
    else:
        os.makedirs(place.folder, exist_ok=True)
        for name in (name for name in names if not name.startswith(place.weights)):
            move_into_place(os.path.join(work, name), os.path.join(place.folder, name))
        move = move_checkpoint if place.to == "tensorflow" else move_into_place
        move(os.path.join(work, place.weights), os.path.join(place.folder, place.weights))
    return [os.path.join(place.folder, name) for name in names]
