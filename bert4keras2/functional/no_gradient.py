"""A context for what nothing is differentiated by."""

from __future__ import annotations

import contextlib
from typing import Any

import keras

__all__ = ["no_gradient"]


def no_gradient() -> contextlib.AbstractContextManager[Any]:
    """Return a context in which PyTorch keeps nothing for gradients; other backends keep what a tape asks for."""
    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()
