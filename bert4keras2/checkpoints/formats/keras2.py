"""HDF5 weight files of Keras 2 and tf.keras (`model.weights`, `model.h5`), also inside of whole-model files."""

from __future__ import annotations

import numpy as np

from bert4keras2.checkpoints.formats.reader import Reader
from bert4keras2.errors import CheckpointDamagedError, CheckpointFormatError

__all__ = ["Keras2Reader"]

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
        import h5py

        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            cut = "it is cut short" if "truncated" in str(error) else "it is damaged"
            raise CheckpointDamagedError(
                f"The HDF5 file {path!r} cannot be opened: {cut}. Download or save it again. h5py says: {error}"
            ) from error
        try:
            self._index()
        except (OSError, RuntimeError, KeyError, AttributeError) as error:
            self._file.close()
            raise CheckpointDamagedError(
                f"The HDF5 file {path!r} lacks parts that its own lists name; it is damaged. Download or save it "
                f"again. h5py says: {error}"
            ) from error
        except BaseException:
            self._file.close()
            raise

    def layers(self) -> list[tuple[str, list[str]]]:
        """Return the layers that have weights with the names of their weights, both in the order of the file."""
        return [(layer, list(names)) for layer, names in self._layers]

    def _index(self) -> None:
        whole = "model_weights" in self._file and not _has_list(self._file.attrs, "layer_names")
        self._root = root = self._file["model_weights"] if whole else self._file
        if not _has_list(root.attrs, "layer_names"):
            self._reject()
        self.keras_version = _text(root.attrs.get("keras_version", ""))
        self._layers: list[tuple[str, list[str]]] = []
        self._short: dict[str, list[str]] = {}
        layers = _strings(root.attrs, "layer_names")
        if _TOP_LEVEL in root and _TOP_LEVEL not in layers:
            layers.append(_TOP_LEVEL)
        for layer in layers:
            names = []
            for weight in _strings(root[layer].attrs, "weight_names"):
                dataset = root[layer][weight]
                name = f"{layer}/{weight}"
                # Values may be links to other files of the machine; a weights file has no business doing that.
                if dataset.external or dataset.is_virtual or dataset.file.filename != self._file.filename:
                    raise CheckpointFormatError(
                        f"{name!r} in {self.path!r} refers to another file. Save the model's weights into one file."
                    )
                names.append(name)
                self._entries[name] = tuple(dataset.shape), dataset.dtype.name
                self._short.setdefault(weight, []).append(name)
            if names:
                self._layers.append((layer, names))

    def _reject(self) -> None:
        if any(key in self._file for key in ("layers", "vars", "_layer_checkpoint_dependencies")):
            raise CheckpointFormatError(
                f"{self.path!r} is a Keras 3 weights file, not one of Keras 2. Build the model and load it with "
                f"model.load_weights({self.path!r}) (the name has to end in '.weights.h5')."
            )
        held = ", ".join(map(repr, list(self._file)[:5])) or "nothing"
        raise CheckpointFormatError(
            f"The HDF5 file {self.path!r} has no 'layer_names' (it holds {held}), so Keras 2 did not write it as "
            "weights. Pass a file made by save_weights() or save()."
        )

    def _resolve(self, name: str) -> str:
        known = self._short.get(name, ())
        return known[0] if len(known) == 1 and name not in self._entries else name

    def _read(self, name: str) -> np.ndarray:
        try:
            return np.asarray(self._root[name][()])
        except OSError as error:
            raise CheckpointDamagedError(
                f"Cannot read {name!r} from {self.path!r}: the file is damaged. Download or save it again. h5py says: "
                f"{error}"
            ) from error

    def _release(self) -> None:
        self._file.close()


def _has_list(attributes: dict, key: str) -> bool:
    return key in attributes or f"{key}0" in attributes


def _strings(attributes: dict, key: str) -> list[str]:
    """Read a list of strings; Keras splits long ones over `key0`, `key1`, ..."""
    if key in attributes:
        return [_text(item) for item in attributes[key]]
    found: list[str] = []
    number = 0
    while f"{key}{number}" in attributes:
        found += [_text(item) for item in attributes[f"{key}{number}"]]
        number += 1
    return found


def _text(item: object) -> str:
    return item.decode("utf-8") if isinstance(item, bytes) else str(item)
