"""SavedModel, LiteRT and OpenVINO files as functions of named arrays: to compare what was written with the model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bert4keras2.exporting.converters import identifier
from bert4keras2.exporting.packages import load_package

__all__ = ["OtherModel"]


class OtherModel:
    """A file or folder of a format other than ONNX, with the names that its inputs and outputs have here.

    Args:
        path: the file or folder.
        to: "saved_model", "litert" or "openvino".
        inputs: sizes of the inputs by their names, a word for those that vary.
        outputs: names of the outputs.

    Raises:
        ImportError: if the format's package is not installed.
    """

    def __init__(self, path: str, to: str, inputs: Mapping[str, Sequence[Any]], outputs: Sequence[str]):
        self.inputs, self.outputs, self.shapes = list(inputs), list(outputs), dict(inputs)
        open_file: dict[str, Callable[[str], Any]] = {
            "saved_model": _saved_model,
            "litert": _litert,
            "openvino": _openvino,
        }
        self.to, self._run = to, open_file[to](path)

    def by_name(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return all outputs by their names, for arrays by those of the inputs.

        Raises:
            ValueError: if the program fails.
        """
        try:
            found = self._run(arrays)
        except Exception as error:  # each program has classes of its own
            raise ValueError(f"what was written for {self.to} does not run, so it was not kept: {error}") from error
        return {name: np.asarray(found[name if name in found else identifier(name)]) for name in self.outputs}

    def __call__(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """Return the first output for arrays in the order of the inputs."""
        return self.by_name(dict(zip(self.inputs, arrays, strict=True)))[self.outputs[0]]


def _saved_model(path: str) -> Callable[[Mapping[str, np.ndarray]], Mapping[str, Any]]:
    import tensorflow as tf

    loaded = tf.saved_model.load(path)  # its signatures do not keep it
    serve = loaded.signatures["serving_default"]
    return lambda arrays, loaded=loaded: serve(**{identifier(name): tf.constant(x) for name, x in arrays.items()})


def _litert(path: str) -> Callable[[Mapping[str, np.ndarray]], Mapping[str, Any]]:
    import tensorflow as tf

    with warnings.catch_warnings():
        # It says that it moved to a package, which has none of TensorFlow's own operators.
        warnings.simplefilter("ignore")
        runner = tf.lite.Interpreter(path).get_signature_runner()
    return lambda arrays: runner(**{identifier(name): array for name, array in arrays.items()})


def _openvino(path: str) -> Callable[[Mapping[str, np.ndarray]], Mapping[str, Any]]:
    openvino = load_package("openvino", "Comparing with OpenVINO")
    # On CPUs that have bfloat16 it would be taken.
    model = openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda arrays: {output.get_any_name(): array for output, array in model(dict(arrays)).items()}
