"""`model.export`: what Keras writes wrongly, or not at all, is written by the library's own converters."""

from __future__ import annotations

import os
from typing import Any

import keras

from bert4keras2.exporting import FORMATS, export_model
from bert4keras2.training.input_checks import IdLimits

__all__ = ["ExportMethod"]

# Names that Keras has for formats of ours.
KERAS_NAMES = {"tf_saved_model": "saved_model"}


class ExportMethod:
    """`export`, to be mixed into a keras.Model."""

    def export(
        self,
        filepath: str | os.PathLike,
        format: str = "tf_saved_model",
        verbose: Any = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Write the model for another program, as keras.Model.export does.

        Functional models become ONNX files of named inputs, any batch and any length; onnxruntime compares what was
        written with the model. On JAX and PyTorch a process of TensorFlow writes ONNX, SavedModel, LiteRT and OpenVINO.

        Args:
            filepath: the file, or for a SavedModel the folder.
            format: "onnx", "tf_saved_model", "litert", "openvino"; others are Keras' own.
            verbose: whether to tell what was written; True if None.
            input_signature: shapes and types of inputs that are not the model's own; Keras' export then writes.
            **kwargs: `opset_version` for ONNX; any others are for Keras' export.

        Raises:
            ImportError: if a package of the format is not installed.
            ValueError: if the model cannot be exported, or what was written gives other outputs.
        """
        to = KERAS_NAMES.get(format, format)
        elsewhere = keras.backend.backend() != "tensorflow"
        opset = {"opset": kwargs["opset_version"]} if kwargs.get("opset_version") else {}
        ours = to == "onnx" or (elsewhere and to in FORMATS)
        if not ours or input_signature is not None or set(kwargs) - {"opset_version"}:
            if format == "onnx" and elsewhere is False:
                raise ValueError(
                    "an ONNX file has the model's own inputs: leave input_signature and"
                    f" {', '.join(sorted(set(kwargs) - {'opset_version'})) or 'others'} out"
                )
            super().export(filepath, format=format, verbose=verbose, input_signature=input_signature, **kwargs)
            return
        limits = IdLimits(self)
        export_model(self, filepath, to, limits.examples() if limits.tensors else (), **opset)
        if verbose or verbose is None:
            print(f"Saved artifact at '{os.fspath(filepath)}'.")
