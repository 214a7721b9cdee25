"""Weight files of whole Keras models: Keras 3's own under any name, Keras 2's HDF5, tf.keras' checkpoints."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from bert4keras2.checkpoints.formats.by_name import copy_by_name
from bert4keras2.checkpoints.formats.keras3 import check_archive, check_hdf5, is_weights, naming
from bert4keras2.checkpoints.loader import CheckpointMismatchError
from bert4keras2.checkpoints.readers import open_checkpoint
from bert4keras2.errors import CheckpointNotFoundError
from bert4keras2.files import under_suffix

__all__ = ["load_weights"]

KERAS_SUFFIX = ".weights.h5"


def load_weights(
    model: Any, path: str, skip_mismatch: bool, keras_load: Callable[..., None], by_name: bool = False, **kwargs: Any
) -> None:
    """Fill a Keras model from a weight file of Keras 3, Keras 2 or tf.keras.

    Args:
        model: the model, its layers named as when the file was written (Keras 3 and tf.keras go by order).
        path: the file, or the prefix of a tf.keras checkpoint.
        skip_mismatch: leave layers as they are that the file lacks or holds in another shape.
        keras_load: keras.Model.load_weights of the model.
        by_name: load layers that have a namesake in the file, and leave all others as they are.
        **kwargs: passed on to it.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file does not fit the model.
    """
    if _is_keras3(path):
        if by_name:
            check_hdf5(path)
            with tempfile.TemporaryDirectory() as folder:
                own = os.path.join(folder, f"model{KERAS_SUFFIX}")
                model.save_weights(own)
                copy_by_name(path, own, skip_mismatch)
                keras_load(own, **kwargs)
            return
        _load_keras3(path, lambda p: keras_load(p, skip_mismatch=skip_mismatch, **kwargs))
        return
    if path.endswith(".keras"):
        if by_name:
            raise CheckpointMismatchError(
                f"{path} is a whole model: by_name=True reads weight files; load the model, and save_weights of it"
            )
        check_archive(path)
        with naming(path):
            keras_load(path, skip_mismatch=skip_mismatch, **kwargs)
        return
    with open_checkpoint(path) as reader:
        if reader.format == "keras2_hdf5":
            stored = dict(reader.layers())
            pairs = _by_name(model, stored, path, skip_mismatch, by_name)
        elif by_name:
            raise CheckpointMismatchError(
                f"{path} is a {reader.format} file, whose layers go by their order: load it without by_name=True"
            )
        elif reader.format == "tensorflow_objects":
            pairs = _by_order(model, reader.layers(), path)
        else:
            raise CheckpointMismatchError(
                f"{path} is a {reader.format} checkpoint of a language model, not a weight file of a Keras model: "
                "pass it to build_transformer_model as checkpoint_path"
            )
        _check_shapes(reader, pairs, path, skip_mismatch)
        for variable, name in pairs:
            if tuple(reader.shape(name)) == tuple(variable.shape):
                variable.assign(np.asarray(reader.read(name)))


def _is_keras3(path: str) -> bool:
    """Whether a file is Keras 3's HDF5 layout: no list of layer names, but one group per layer."""
    if not os.path.exists(path) and not os.path.exists(f"{path}.index"):
        folder = os.path.dirname(path) or "."
        near = (
            sorted(n for n in os.listdir(folder) if "weights" in n or n.endswith((".h5", ".keras")))
            if os.path.isdir(folder)
            else []
        )
        hint = f" That folder has {', '.join(near[:5])}." if near else ""
        raise CheckpointNotFoundError(f"There is no weight file {path}.{hint}")
    return os.path.isfile(path) and is_weights(path)


def _load_keras3(path: str, load: Callable[[str], None]) -> None:
    """Call `load` with a name that ends as Keras demands."""
    check_hdf5(path)
    if path.endswith(KERAS_SUFFIX):
        with naming(path):
            load(path)
        return
    with under_suffix(path, KERAS_SUFFIX) as link, naming(path, link):
        load(link)


def _weighted_layers(model: Any) -> list[Any]:
    return [layer for layer in model.layers if layer.weights]


def _by_name(model: Any, stored: dict[str, list[str]], path: str, skip: bool, partial: bool) -> list[tuple[Any, str]]:
    """Pair variables with stored names, layer by layer; the order within a layer is that of Keras 2.

    Args:
        model: the model.
        stored: the names of weights by those of layers.
        path: the file, for messages.
        skip: leave layers out that do not fit.
        partial: leave layers out that the file lacks.
    """
    layers = _weighted_layers(model)
    missing = [layer.name for layer in layers if not stored.get(layer.name)]
    names = {layer.name for layer in layers}
    left = [name for name, weights in stored.items() if weights and name not in names]
    if partial and len(missing) < len(layers):
        missing = []
    if (
        missing
        and len(missing) == len(left)
        and [len(model.get_layer(m).weights) for m in missing] == [len(stored[n]) for n in left]
    ):
        # Keras numbers unnamed layers (dense, dense_1...) by what was created before in the session.
        stored = {**stored, **{m: stored[n] for m, n in zip(missing, left, strict=True)}}
        missing = []
    if missing and not skip:
        raise CheckpointMismatchError(
            f"{path} has no weights for the layers {', '.join(missing[:6])}; it has {', '.join(left[:6]) or 'none'} "
            "that the model lacks. Was it saved from a model built by the same code?"
        )
    pairs = []
    for layer in layers:
        weights = stored.get(layer.name)
        if not weights:
            continue
        variables = keras2_order(layer)
        if len(variables) != len(weights):
            if skip:
                continue
            raise CheckpointMismatchError(
                f"{path}: layer {layer.name} has {len(weights)} weights in the file and {len(variables)} in the model"
            )
        pairs += zip(variables, weights, strict=True)
    return pairs


def keras2_order(layer: Any) -> list[Any]:
    """Return a layer's variables in the order in which Keras 2 wrote them: trainable ones first."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _by_order(model: Any, stored: list[tuple[str, list[tuple[str, str]]]], path: str) -> list[tuple[Any, str]]:
    """Pair the layers that have weights, in the order of the graph, with those of a tf.keras checkpoint."""
    layers = _weighted_layers(model)
    if len(layers) != len(stored):
        raise CheckpointMismatchError(f"{path} holds {len(stored)} layers with weights, the model has {len(layers)}")
    pairs = []
    for layer, (_, entries) in zip(layers, stored, strict=True):
        named = dict(entries)
        for variable in layer.weights:
            inner = variable.path.rsplit(f"{layer.name}/", 1)[-1]
            if inner not in named:
                raise CheckpointMismatchError(
                    f"{path}: {layer.name} lacks {inner}; the file has {', '.join(named)} there"
                )
            pairs.append((variable, named[inner]))
    return pairs


def _check_shapes(reader: Any, pairs: list[tuple[Any, str]], path: str, skip: bool) -> None:
    wrong = [
        f"{name}: {list(reader.shape(name))} in the file, {list(variable.shape)} in the model"
        for variable, name in pairs
        if tuple(reader.shape(name)) != tuple(variable.shape)
    ]
    if wrong and not skip:
        more = f"\n  ... and {len(wrong) - 10} more" if len(wrong) > 10 else ""
        raise CheckpointMismatchError(f"{path} does not fit the model:\n  " + "\n  ".join(wrong[:10]) + more)
