"""Functions of TensorFlow's tensors as SavedModel, and from one format to another."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Mapping
from typing import Any

import keras

from bert4keras2.exporting.packages import load_package

__all__ = ["identifier", "litert_of", "openvino_of", "save_function"]


def identifier(name: str) -> str:
    """Return the name of an input or output as signatures have it, which are called by names that Python has."""
    return name.replace("-", "_").replace(".", "_")


def save_function(
    owner: Any, function: Callable[..., Mapping[str, Any]], inputs: Mapping[str, tuple[Any, str]], path: str
) -> None:
    """Write a function of tensors as a SavedModel with one signature.

    Args:
        owner: the Keras model whose weights the function reads.
        function: of TensorFlow's tensors, returns {name: tensor}.
        inputs: {name: (shape, dtype)}, None for sizes that vary.
        path: the folder to write.
    """
    import tensorflow as tf

    archive = keras.export.ExportArchive()
    archive.track(owner)
    signature = [tf.TensorSpec(shape, dtype, name=identifier(name)) for name, (shape, dtype) in inputs.items()]
    archive.add_endpoint(name="serve", fn=function, input_signature=signature)
    with contextlib.redirect_stdout(io.StringIO()):
        archive.write_out(path, verbose=False)


def litert_of(saved: str, path: str, int8: bool = False) -> None:
    """Write the LiteRT file of a SavedModel.

    Args:
        saved: the folder of the SavedModel.
        path: the file to write.
        int8: matrices of eight bits.

    Raises:
        ValueError: if its converter cannot.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(saved)
    # GELU's error function is none of LiteRT's own operators.
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    if int8:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    try:
        found = converter.convert()
    except Exception as error:  # the converter has classes of its own
        said = str(error).strip().partition("\n")[0]
        raise ValueError(f"LiteRT's converter cannot take the model; SavedModel takes any: {said}") from error
    with open(path, "wb") as file:
        file.write(found)


def openvino_of(onnx_file: str, path: str) -> None:
    """Write the OpenVINO files of an ONNX file: `path`, which ends in .xml, and weights beside it.

    Raises:
        ImportError: if OpenVINO is not installed.
    """
    openvino = load_package("openvino", "Exporting to OpenVINO")
    openvino.save_model(openvino.convert_model(os.fspath(onnx_file)), path, compress_to_fp16=False)
