"""`OnnxModel`: an ONNX file as a function of arrays, by onnxruntime."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np

from bert4keras2.exporting.packages import load_package

__all__ = ["OnnxModel"]


class OnnxModel:
    """The model of an ONNX file; it can be called in several threads at once.

    Args:
        path: the file.
        threads: threads for one operation; if None, those of the variable OMP_NUM_THREADS, or one for each core.

    Attributes:
        inputs: names of the inputs, in their order.
        outputs: names of the outputs.
        shapes: sizes of inputs and outputs by their names; None, or a word, for those that vary.
        by_shape: whether each new shape costs a compilation; it does not.

    Raises:
        FileNotFoundError: if there is no such file.
        ImportError: if onnxruntime is not installed.
        ValueError: if it is no model that onnxruntime can run.
    """

    by_shape = False

    def __init__(self, path: str | os.PathLike, threads: int | None = None):
        runtime = load_package("onnxruntime", "Running an ONNX model")
        path = os.fspath(path)
        if not os.path.isfile(path):
            raise FileNotFoundError(f"there is no ONNX file {path}")
        options = runtime.SessionOptions()
        options.log_severity_level = 3  # errors alone: what it says of its own rewriting is no concern of users
        said = os.environ.get("OMP_NUM_THREADS", "")
        if threads is None and said.isdecimal():
            threads = int(said)
        options.intra_op_num_threads = threads or 0
        try:
            self._session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has classes of its own for each kind of failure
            raise ValueError(f"onnxruntime cannot run {path}: {error}") from error
        self.inputs = [value.name for value in self._session.get_inputs()]
        self.outputs = [value.name for value in self._session.get_outputs()]
        values = [*self._session.get_inputs(), *self._session.get_outputs()]
        self.shapes = {value.name: list(value.shape) for value in values}

    def run(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return all outputs for arrays in the order of the inputs."""
        return self._session.run(None, dict(zip(self.inputs, arrays, strict=True)))

    def by_name(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return all outputs by their names, for arrays by those of the inputs."""
        return dict(zip(self.outputs, self._session.run(None, dict(arrays)), strict=True))

    def __call__(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """Return the first output for arrays in the order of the inputs."""
        return self.run(arrays)[0]
