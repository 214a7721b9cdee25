"""Weight files of Keras 3 by the names of layers: Keras itself goes by their classes and their order."""

from __future__ import annotations

from typing import Any

from bert4keras2.errors import CheckpointMismatchError

__all__ = ["copy_by_name"]


def copy_by_name(path: str, own: str, skip_mismatch: bool) -> None:
    """Copy the weights of layers that have the same names from one weight file into another.

    Args:
        path: the file to copy from.
        own: the file to copy into, as Keras writes it for the model.
        skip_mismatch: leave layers whose weights have other shapes; otherwise they are an error.

    Raises:
        CheckpointMismatchError: if no names agree, or if shapes differ.
    """
    import h5py

    with h5py.File(path, "r") as stored, h5py.File(own, "r+") as file:
        theirs, ours = _layers(stored), _layers(file)
        wanted = [name for name, group in ours.items() if name in theirs and _weights(group)]
        if not wanted:
            there = ", ".join(list(theirs)[:6]) or "no names of layers"
            raise CheckpointMismatchError(
                f"{path} has {there}, none of which are names of layers of the model: load it without by_name=True"
            )
        wrong = []
        for name in wanted:
            source, target = _weights(theirs[name]), _weights(ours[name])
            shapes = [{key: weight.shape for key, weight in weights.items()} for weights in (source, target)]
            if shapes[0] == shapes[1]:
                for key, weight in target.items():
                    weight[...] = source[key][...]
            elif not skip_mismatch:
                there, here = (", ".join(str(list(shape)) for shape in each.values()) for each in shapes)
                wrong.append(f"layer {name}: {there} in the file, {here} in the model")
        if wrong:
            raise CheckpointMismatchError(
                f"{path} does not fit the model; skip_mismatch=True leaves such layers as they are:\n  "
                + "\n  ".join(wrong[:10])
            )


def _layers(file: Any) -> dict[str, Any]:
    """Return the groups of a model's layers by the layers' names."""
    groups = [group for group in file.get("layers", {}).values() if "vars" in group]
    return {group["vars"].attrs["name"]: group for group in groups if "name" in group["vars"].attrs}


def _weights(group: Any) -> dict[str, Any]:
    """Return the weights in a group and those below it, by their paths."""
    found: dict[str, Any] = {}
    group.visititems(lambda name, item: found.update({name: item}) if hasattr(item, "shape") else None)
    return found
