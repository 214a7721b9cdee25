"""One model to one file or folder of another program's format, compared with the model before it gets its place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from bert4keras2.exporting.converters import litert_of, openvino_of, save_function
from bert4keras2.exporting.elsewhere import export_elsewhere
from bert4keras2.exporting.int8 import likeness, write_int8
from bert4keras2.exporting.onnx_convert import OPSET, onnx_of
from bert4keras2.exporting.runtime import OnnxModel
from bert4keras2.files import scratch_folder
from bert4keras2.functional import keras_private

__all__ = [
    "FORMATS",
    "PLACES",
    "RUNTIMES",
    "TOLERANCE",
    "Written",
    "check_format",
    "check_precision",
    "export_model",
    "move_written",
]

# What each format is called on a disk; a name without an ending is a folder.
PLACES = {"onnx": "model.onnx", "saved_model": "saved_model", "litert": "model.tflite", "openvino": "model.xml"}
FORMATS = tuple(PLACES)
# What runs them.
RUNTIMES = {"onnx": "onnxruntime", "saved_model": "TensorFlow", "litert": "LiteRT", "openvino": "OpenVINO"}
TOLERANCE = 1e-4
# Formats of which the writers can make matrices of eight bits.
WITH_INT8 = ("onnx", "litert")
# Below this cosine between outputs in int8 and in float32, somebody should look.
LIKE = 0.98


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        path: the file or folder.
        difference: the largest difference between the outputs of the file in float32 and the model's, relative to the
            largest output where that is more than 1; None for formats that were not run.
        likeness: with int8, the mean cosine between outputs with and without; otherwise None.
        to: the format.
    """

    path: str
    difference: float | None = None
    likeness: float | None = None
    to: str = "onnx"

    def summary(self) -> str:
        """Return what was written and how it compares, in words."""
        files = [self.path] if os.path.isfile(self.path) else [str(p) for p in Path(self.path).rglob("*")]
        said = f"{self.path}: {sum(os.path.getsize(file) for file in files) / 2**20:.1f} MiB"
        if self.difference is not None:
            said += f", differs from Keras by {self.difference:.1g} in {RUNTIMES[self.to]}"
        if self.likeness is not None:
            said += f"; int8: cosine {self.likeness:.4f} with float32 on random ids"
            said += "" if self.likeness >= LIKE else ", which is low: measure it on your texts"
        return said


def check_format(to: str, int8: bool = False) -> None:
    """Raise a ValueError if there is no such format, or none in int8."""
    if to not in FORMATS:
        raise ValueError(f"there is no format {to!r}: it is one of {', '.join(FORMATS)}")
    if int8 and to not in WITH_INT8:
        raise ValueError(f"int8 is for {' and '.join(WITH_INT8)}, not for {to}")


def export_model(
    model: Any,
    path: str | os.PathLike,
    to: str = "onnx",
    examples: Sequence[Sequence[np.ndarray]] = (),
    output_names: Sequence[str] | None = None,
    int8: bool = False,
    opset: int = OPSET,
) -> Written:
    """Write a functional model in inference mode for another program: named inputs, any batch and length.

    An ONNX file is run by onnxruntime on the examples, and written only if it gives what the model gives. On JAX and
    PyTorch the model is handed to a process of TensorFlow, which has the converters.

    Args:
        model: a functional model, computing in float32.
        path: the file, or for "saved_model" the folder.
        to: "onnx", "saved_model", "litert" or "openvino".
        examples: inputs for the comparison, each a list of arrays in the model's order.
        output_names: names for the outputs in ONNX; those of their layers if None.
        int8: matrices of eight bits ("onnx", "litert").
        opset: version of ONNX's operators.

    Returns:
        `Written`.

    Raises:
        ImportError: if a package is missing; the message says which one.
        ValueError: if the model cannot be exported, or what was written gives other outputs.
    """
    check_format(to, int8)
    _check_model(model)
    path = os.path.abspath(os.fspath(path))
    names = list(output_names or _output_names(model))
    with scratch_folder(path) as work:
        partial = os.path.join(work, PLACES[to])
        if keras.backend.backend() != "tensorflow":
            export_elsewhere(model, partial, to, names, int8 and to == "litert", opset)
        else:
            write: dict[str, Callable[[], None]] = {
                "onnx": lambda: _write_onnx(model, partial, names, opset),
                "saved_model": lambda: _write_saved_model(model, partial),
                "litert": lambda: _write_litert(model, partial, int8),
                "openvino": lambda: _write_openvino(model, partial, names, opset),
            }
            write[to]()
        done = Written(path)
        if to == "onnx":
            exact = OnnxModel(partial)
            done = Written(path, _difference(model, exact, examples))
            if int8:
                smaller = os.path.join(work, "int8.onnx")
                write_int8(partial, smaller)
                done = Written(path, done.difference, likeness(exact, OnnxModel(smaller), examples))
                os.replace(smaller, partial)
        move_written(work, partial, path)
    return done


def _check_model(model: Any) -> None:
    if not getattr(model, "inputs", None) or not isinstance(model, keras.Model):
        raise ValueError(
            f"{getattr(model, 'name', model)!r} is no functional model, so its inputs have no names and shapes: build"
            " keras.models.Model(inputs, outputs) of symbolic inputs"
        )
    check_precision(model)


def check_precision(model: Any) -> None:
    """Raise a ValueError that names the layer if one of a model's computes in half precision."""
    for layer in keras_private.inner_layers(model):
        dtype = str(getattr(layer, "compute_dtype", None) or "float32")
        if "float" in dtype and dtype != "float32":
            raise ValueError(
                f"layer {layer.name!r} computes in {dtype}, which runtimes on CPUs do not: build and load the model in"
                " float32 to export it"
            )


def _output_names(model: Any) -> list[str]:
    """Return the names of the layers that made the outputs, with numbers where they are not unique."""
    found = [keras_private.maker(output).name for output in model.outputs]
    return [name if found.count(name) == 1 else f"{name}_{k}" for k, name in enumerate(found)]


def _write_onnx(model: Any, path: str, names: Sequence[str], opset: int) -> None:
    found = onnx_of(model, names, opset)
    with open(path, "wb") as file:
        file.write(found.SerializeToString())


def _write_saved_model(model: Any, path: str) -> None:
    structure = keras_private.input_structure(model)
    inputs = {keras_private.maker(x).name: (x.shape, x.dtype) for x in keras.tree.flatten(structure)}
    names = _output_names(model)

    def serve(*tensors: Any) -> dict[str, Any]:
        outputs = model(keras.tree.pack_sequence_as(structure, list(tensors)), training=False)
        return dict(zip(names, keras.tree.flatten(outputs), strict=True))

    save_function(model, serve, inputs, path)


def _write_litert(model: Any, path: str, int8: bool) -> None:
    with scratch_folder(path) as work:
        saved = os.path.join(work, "saved_model")
        _write_saved_model(model, saved)
        litert_of(saved, path, int8)


def _write_openvino(model: Any, path: str, names: Sequence[str], opset: int) -> None:
    with scratch_folder(path) as work:
        file = os.path.join(work, "model.onnx")
        _write_onnx(model, file, names, opset)
        openvino_of(file, path)


def _difference(model: Any, exact: OnnxModel, examples: Sequence[Sequence[np.ndarray]]) -> float | None:
    """Return the largest relative difference of outputs; a ValueError if it is more than rounding."""
    largest = None
    structure = keras_private.input_structure(model)
    for arrays in examples:
        tensors = [keras.ops.convert_to_tensor(array) for array in arrays]
        outputs = keras.tree.flatten(model(keras.tree.pack_sequence_as(structure, tensors), training=False))
        try:
            found = exact.run(arrays)
        except Exception as error:
            raise ValueError(
                f"{model.name} does not run in onnxruntime on inputs of shape {arrays[0].shape}, so nothing was"
                f" written: {error}"
            ) from error
        for name, output, other in zip(exact.outputs, outputs, found, strict=True):
            own = keras.ops.convert_to_numpy(output)
            if own.shape != other.shape:
                raise ValueError(
                    f"output {name!r} has the shape {other.shape} in onnxruntime and {own.shape} in Keras; nothing was"
                    " written"
                )
            # Hidden positions may hold infinities or large numbers, which agree or do not.
            real = np.isfinite(own) & (np.abs(own) < 1e20)
            size = max(float(np.abs(own[real]).max(initial=0)), 1.0)
            far = float(np.abs(own[real] - other[real]).max(initial=0)) / size
            if far > TOLERANCE or not np.allclose(own[~real], other[~real], equal_nan=True):
                raise ValueError(
                    f"output {name!r} differs by {far:.2g} between onnxruntime and Keras on inputs of shape"
                    f" {arrays[0].shape}, so nothing was written; --to saved_model takes any model"
                )
            largest = max(far, largest or 0.0)
    return largest


def move_written(work: str, partial: str, path: str) -> None:
    """Give what was written its place, the files that lie beside it too.

    Args:
        work: the folder that it was written in.
        partial: the file or folder in there.
        path: its place; what stood there goes.
    """
    if os.path.isdir(path):
        shutil.rmtree(path)
    stem, suffix = os.path.splitext(os.path.basename(path))
    own = os.path.splitext(os.path.basename(partial))[0]
    if suffix == ".xml":  # OpenVINO's weights, which it looks for by the name of the other file
        os.replace(os.path.join(work, f"{own}.bin"), os.path.join(os.path.dirname(path), f"{stem}.bin"))
    os.replace(partial, path)
