"""PyTorch checkpoints (`pytorch_model.bin`), read with torch itself, which is imported only then."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from bert4keras2.checkpoints.formats.errors import CheckpointDamagedError, CheckpointFormatError
from bert4keras2.checkpoints.formats.reader import Reader

__all__ = ["TorchReader"]

# Training frameworks wrap the state dictionary under one of these.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "module")


class TorchReader(Reader):
    """One PyTorch file with a dictionary of tensors; values stay in the file until they are read.

    Only files of the present format (a zip archive, torch 1.6 and later) can be read lazily; older ones are loaded as a
    whole. Nothing but tensors is unpickled.
    """

    format = "torch"

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._torch = _import_torch(path)
        loaded = self._load()
        for key in _WRAPPERS:
            if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
                loaded = loaded[key]
                break
        tensors = loaded.items() if isinstance(loaded, Mapping) else ()
        self._tensors = {str(name): value for name, value in tensors if isinstance(value, self._torch.Tensor)}
        if not self._tensors:
            raise CheckpointFormatError(
                f"{path!r} holds {type(loaded).__name__}, not a dictionary of tensors. Save the model's state_dict()."
            )
        for name, tensor in self._tensors.items():
            self._entries[name] = tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")

    def _load(self) -> Any:
        with open(self.path, "rb") as file:
            zipped = file.read(4) == b"PK\x03\x04"
        if zipped and not zipfile.is_zipfile(self.path):
            raise CheckpointDamagedError(
                f"The PyTorch file {self.path!r} is cut short: the table at its end is missing. Download it again."
            )
        try:
            return self._torch.load(self.path, map_location="cpu", weights_only=True, mmap=zipped)
        except pickle.UnpicklingError as error:
            raise CheckpointFormatError(
                f"{self.path!r} holds more than tensors, and loading that could run code. Convert it to safetensors "
                f"where it comes from. torch says: {str(error).splitlines()[0]}"
            ) from error
        except Exception as error:  # torch raises RuntimeError, EOFError, OSError, ... for damaged files
            raise CheckpointDamagedError(
                f"torch cannot read {self.path!r}; it is probably damaged or cut short, download it again. torch says: "
                f"{type(error).__name__}: {error}"
            ) from error

    def _read(self, name: str) -> np.ndarray:
        tensor = self._tensors[name].detach()
        if tensor.layout is not self._torch.strided or tensor.is_quantized:
            raise CheckpointFormatError(
                f"{name!r} in {self.path!r} is a sparse or quantized tensor; convert it to a dense one of floats."
            )
        if tensor.dtype is self._torch.bfloat16:
            import ml_dtypes

            return np.array(tensor.contiguous().view(self._torch.int16).numpy()).view(ml_dtypes.bfloat16)
        return np.array(tensor.numpy())  # a copy: the tensor's own memory is the mapped file

    def _release(self) -> None:
        self._tensors = {}


def _import_torch(path: str) -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"{path!r} is a PyTorch file and torch is not installed. Run 'pip install torch', or convert the file to "
            "safetensors (many repositories offer a model.safetensors beside it)."
        ) from error
    return torch
