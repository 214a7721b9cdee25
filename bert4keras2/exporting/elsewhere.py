"""Exporting on JAX and PyTorch: a process of TensorFlow, which the converters are made for, does it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from bert4keras2.files import scratch_folder
from bert4keras2.functional import keras_private

__all__ = ["export_elsewhere", "run_export"]

KNOWN = ("keras", "bert4keras2")  # packages whose layers the other process has


def export_elsewhere(model: Any, path: str, to: str, output_names: Sequence[str], int8: bool, opset: int) -> None:
    """Write a model as `export_model` does, by `bert4keras2 export` in a process with Keras on TensorFlow.

    Args:
        model: a functional model of layers that the library or Keras define.
        path: where to.
        to: the format.
        output_names: names of the outputs.
        int8: matrices of eight bits.
        opset: version of ONNX's operators.

    Raises:
        ImportError: if TensorFlow, or a package of the format, is not installed.
        ValueError: if there are other layers, or the process fails; the message is its last line.
    """
    own = {type(layer) for layer in keras_private.inner_layers(model, include_self=True)}
    foreign = sorted(kind.__name__ for kind in own if kind.__module__.partition(".")[0] not in KNOWN)
    if foreign:
        raise ValueError(
            f"{model.name} has layers of other classes than Keras' and this library's ({', '.join(foreign)}), which the"
            " process of TensorFlow that exports it does not know: export it in a script of its own that runs with"
            " KERAS_BACKEND=tensorflow"
        )
    path = os.path.abspath(path)
    with scratch_folder(path) as work:
        source = os.path.join(work, "model.keras")
        model.save(source)
        options = ["--to", to, "--output", path, "--names", json.dumps(list(output_names)), "--opset", str(opset)]
        run_export([source, *options, *(["--int8"] if int8 else [])], work)


def run_export(arguments: Sequence[str], work: str) -> str:
    """Run `bert4keras2 export` in a process with Keras on TensorFlow, and return the last line that it prints.

    Args:
        arguments: of the command.
        work: a folder to run it in, without anything that Python might import.

    Raises:
        ImportError: if TensorFlow, or a package of the format, is not installed.
        ValueError: if it fails; the message is its last line.
    """
    command = [sys.executable, "-m", "bert4keras2", "export", *arguments]
    paths = [str(Path(__file__).resolve().parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": os.pathsep.join(paths)}
    environment |= {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    # In a folder of its own: python -m would find a package of the same name in the working directory first.
    done = subprocess.run(command, env=environment, cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        said = next((line for line in reversed(done.stderr.splitlines()) if line.startswith("error: ")), "")
        said = said.removeprefix("error: ") or done.stderr.strip()[-1500:]
        raise (ImportError if "not installed" in said else ValueError)(
            f"the process of TensorFlow that exports models of the {keras.backend.backend()} backend failed: {said}"
        )
    return done.stdout.strip().rpartition("\n")[2]
