"""`ExportedModel`: a folder with an exported model, in the place of a Keras model."""

from __future__ import annotations

import os

from bert4keras2.exporting.described import described
from bert4keras2.exporting.runtime import OnnxModel

__all__ = ["ExportedModel"]


class ExportedModel:
    """The ONNX model of a folder, and what has to be known to feed it.

    Args:
        folder: what `export` of a task or an encoder wrote.
        kind: what is expected there: "task", "vectors" or "encoder".
        threads: as for `OnnxModel`.

    Attributes:
        description: of the folder.
        run: the model as a function of arrays.

    Raises:
        ImportError: if onnxruntime is not installed.
        ValueError: if the folder holds something else.
    """

    def __init__(self, folder: str | os.PathLike, kind: str, threads: int | None = None):
        folder = os.fspath(folder)
        said = described(folder)
        if said is None:
            raise ValueError(f"{folder} holds no exported model: there is no export.json")
        if said.to != "onnx":
            raise ValueError(
                f"{folder} holds a model for {said.to}, which is run by programs of its own; export it with to='onnx'"
                " to use it here"
            )
        if said.kind != kind:
            hint = ": export it with pooling='mean', or another, to get vectors" if kind == "vectors" else ""
            raise ValueError(f"{folder} holds an exported model of the kind {said.kind!r}, not {kind!r}{hint}")
        self.folder, self.description = folder, said
        self.run = OnnxModel(os.path.join(folder, said.file), threads)
