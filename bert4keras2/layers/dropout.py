"""Dropout whose random numbers cost little."""

from __future__ import annotations

from typing import Any

import keras

from bert4keras2.functional.chance import KINDS, kept
from bert4keras2.functional.functions import is_torch_tensor
from bert4keras2.functional.registry import register
from bert4keras2.layers.direct import DirectCalls

__all__ = ["Dropout"]


@register
class Dropout(DirectCalls, keras.layers.Dropout):
    """Set a random share of the values to zero while training, and scale the others so that the mean stays.

    It is keras.layers.Dropout (Srivastava et al., JMLR 15, 2014), for old scripts too, but its numbers have 16 bits:
    the share is a multiple of 1/65536, and values are scaled by what is really kept.

    Args:
        rate: share that is dropped, from 0 to 1.
        noise_shape: as in Keras; with one, Keras draws the numbers.
        seed: as in Keras; on PyTorch, Keras draws the numbers where one is given.
    """

    direct_call, direct_training = True, True

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        """Return the inputs, of any shape, with values dropped where `training`."""
        dropped = round(self.rate * KINDS)
        if not training or not 0 < dropped < KINDS or self.noise_shape is not None or self._left_to_keras(inputs):
            return super().call(inputs, training=training)
        seed = None if keras.backend.backend() == "torch" else self.seed_generator
        return inputs * kept(inputs, dropped, KINDS / (KINDS - dropped), seed)

    def is_left_to_gpu(self, inputs: Any) -> bool:
        """Whether PyTorch's own numbers on a GPU decide, as its fused attention draws them."""
        plain = self.seed is None and self.noise_shape is None and is_torch_tensor(inputs)
        return plain and inputs.device.type == "cuda"

    def _left_to_keras(self, inputs: Any) -> bool:
        """Whether Keras draws: where that is as fast (GPUs, torch.compile), or a seed was given to PyTorch."""
        backend = keras.backend.backend()
        if backend != "torch":
            return backend not in ("tensorflow", "jax")
        import torch

        return self.seed is not None or inputs.device.type != "cpu" or torch.compiler.is_compiling()
