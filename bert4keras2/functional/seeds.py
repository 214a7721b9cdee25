"""One call that makes a training run repeatable."""

from __future__ import annotations

import random
import sys

import keras
import numpy as np

from bert4keras2.functional import keras_private

__all__ = ["set_seed"]


def set_seed(seed: int) -> None:
    """Seed Python, NumPy, Keras and its backend, and ask for deterministic kernels.

    Two runs of a script on the same CPU then give the same losses. Call it before building the model. TensorFlow is
    seeded on other backends too if it is imported by then; it is not imported for that, which takes seconds.

    Args:
        seed: a non-negative integer.

    Raises:
        ValueError: if `seed` is not one.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"set_seed() needs an integer from 0 to 2**32 - 1, not {seed!r}")
    random.seed(seed)
    np.random.seed(seed)
    keras_private.seed_draws(seed)
    if sys.modules.get("tensorflow") is not None:
        import tensorflow as tf

        tf.random.set_seed(seed)
        # The CPU kernels are repeatable as they are; asking for determinism there only slows data pipelines down.
        if keras.backend.backend() == "tensorflow" and tf.config.list_physical_devices("GPU"):
            tf.config.experimental.enable_op_determinism()
    if keras.backend.backend() == "torch":
        import torch

        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True, warn_only=True)
        # It would fill each new tensor with NaN first, which only shows programs that read what nobody has written.
        torch.utils.deterministic.fill_uninitialized_memory = False
