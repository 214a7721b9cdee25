"""HDF5 weight files of Keras 2 and tf.keras (`model.weights`, `model.h5`), also inside of whole-model files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from bert4keras2.checkpoints.encodings.hdf5 import Dataset, Group, Hdf5File, Unsupported
from bert4keras2.checkpoints.formats.reader import Reader
from bert4keras2.errors import CheckpointDamagedError, CheckpointError, CheckpointFormatError

__all__ = ["Keras2Reader", "damaged_hdf5"]

_TOP_LEVEL = "top_level_model_weights"


class Keras2Reader(Reader):
    """One HDF5 file with `layer_names` and `weight_names`.

    A name is the layer's name, a slash and the weight's own name: 'Embedding-Token/Embedding-Token/embeddings:0'. The
    weight's own name alone is understood where only one layer has it. Weights of a layer are in the order of Keras 2.

    Attributes:
        keras_version: the version that wrote the file, '' when it is not recorded.
    """

    format = "keras2_hdf5"

    def __init__(self, path: str) -> None:
        super().__init__(path)
        with damaged_hdf5(path):
            self._file = Hdf5File(path)
        try:
            with damaged_hdf5(path):
                self._index()
        except BaseException:
            self._file.close()
            raise

    def layers(self) -> list[tuple[str, list[str]]]:
        """Return the layers that have weights with the names of their weights, both in the order of the file."""
        return [(layer, list(names)) for layer, names in self._layers]

    def _index(self) -> None:
        top = self._file.root
        inner = top["model_weights"] if "model_weights" in top and not _has_list(top, "layer_names") else top
        if not isinstance(inner, Group) or not _has_list(inner, "layer_names"):
            self._reject()
        version = inner.attributes.get("keras_version", "")
        self.keras_version = version if isinstance(version, str) else ""
        self._datasets: dict[str, Dataset] = {}
        self._layers: list[tuple[str, list[str]]] = []
        self._short: dict[str, list[str]] = {}
        layers = _strings(inner, "layer_names")
        if _TOP_LEVEL in inner and _TOP_LEVEL not in layers:
            layers.append(_TOP_LEVEL)
        for layer in layers:
            names = []
            group = inner[layer]
            for weight in _strings(group, "weight_names"):
                name = f"{layer}/{weight}"
                if name in self._datasets:
                    raise ValueError(f"{name[:200]!r} comes twice")
                names.append(name)
                self._add(name, group, weight)
                self._short.setdefault(weight, []).append(name)
            if names:
                self._layers.append((layer, names))

    def _add(self, name: str, group: Group | Dataset, weight: str) -> None:
        try:
            # Values may be links to other files of the machine; a weights file has no business doing that.
            dataset = group[weight] if isinstance(group, Group) else group
            if not isinstance(dataset, Dataset):
                raise ValueError("a group in place of values")
            dataset.check()
            self._entries[name] = dataset.shape, dataset.type.dtype.name if dataset.type.dtype is not None else "bits"
        except Unsupported as error:
            raise CheckpointFormatError(
                f"{name[:200]!r} in {self.path!r} is {error}. Save the model's weights into one file, by Keras."
            ) from error
        except (ValueError, IndexError, KeyError) as error:
            raise ValueError(f"{name[:200]!r}: {error}") from error
        self._datasets[name] = dataset

    def _reject(self) -> None:
        top = self._file.root
        if any(key in top for key in ("layers", "vars", "_layer_checkpoint_dependencies")):
            raise CheckpointFormatError(
                f"{self.path!r} is a Keras 3 weights file, not one of Keras 2. Build the model and load it with "
                f"model.load_weights({self.path!r}) (the name has to end in '.weights.h5')."
            )
        held = ", ".join(repr(name[:100]) for name in sorted(top.links)[:5]) or "nothing"
        raise CheckpointFormatError(
            f"The HDF5 file {self.path!r} has no 'layer_names' (it holds {held}), so Keras 2 did not write it as "
            "weights. Pass a file made by save_weights() or save()."
        )

    def _resolve(self, name: str) -> str:
        known = self._short.get(name, ())
        return known[0] if len(known) == 1 and name not in self._entries else name

    def _read(self, name: str) -> np.ndarray:
        with damaged_hdf5(self.path, name):
            return self._datasets[name].read()

    def _release(self) -> None:
        self._file.close()


@contextlib.contextmanager
def damaged_hdf5(path: str, name: str = "") -> Iterator[None]:
    """A context in which errors of the reader of HDF5 become those of checkpoints, with the file's name."""
    try:
        yield
    except Unsupported as error:
        raise CheckpointFormatError(
            f"The HDF5 file {path!r} has what Keras does not write: {error}. Save the weights again, by Keras."
        ) from error
    except (ValueError, IndexError, KeyError, OSError, CheckpointError) as error:
        if isinstance(error, CheckpointError) and path in str(error):
            raise
        what = f"Cannot read {name[:200]!r} from {path!r}" if name else f"The HDF5 file {path!r} cannot be opened"
        cut = "it is cut short" if "cut short" in str(error) else "it is damaged"
        raise CheckpointDamagedError(f"{what}: {cut} ({error}). Download or save it again.") from error


def _has_list(group: Group, key: str) -> bool:
    return key in group.attributes or f"{key}0" in group.attributes


def _strings(group: Group | Dataset, key: str) -> list[str]:
    """Read a list of names; Keras splits long ones over `key0`, `key1`, ..."""
    attributes = group.attributes
    if key in attributes:
        return _names(attributes[key], key)
    found: list[str] = []
    number = 0
    while f"{key}{number}" in attributes:
        found += _names(attributes[f"{key}{number}"], key)
        number += 1
    return found


def _names(value: Any, key: str) -> list[str]:
    # An empty list has been written as one of numbers.
    if isinstance(value, np.ndarray) and value.ndim == 1 and not len(value):
        return []
    if not isinstance(value, list):
        raise ValueError(f"{key} is no list of names")
    return list(value)
