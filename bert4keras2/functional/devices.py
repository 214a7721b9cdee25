"""The devices that the backend sees."""

from __future__ import annotations

import keras

__all__ = ["get_available_gpus"]


def get_available_gpus() -> list[str]:
    """Return the names of the GPUs that the backend sees, such as ["gpu:0"]; an empty list without one."""
    if keras.backend.backend() == "torch":
        import torch

        return [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    try:
        return [str(name) for name in keras.distribution.list_devices("gpu")]
    except RuntimeError:  # JAX's answer where there is none
        return []
