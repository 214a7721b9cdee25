"""One call that makes a training run repeatable."""

from __future__ import annotations

import keras

from bert4keras2.functional import keras_private

__all__ = ["set_seed"]


def set_seed(seed: int) -> None:
    """Seed Python, NumPy, Keras and its backend, and ask for deterministic kernels.

    Two runs of a script on the same CPU then give the same losses. Call it before building the model.

    Args:
        seed: a non-negative integer.

    Raises:
        ValueError: if `seed` is not one.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"set_seed() needs an integer from 0 to 2**32 - 1, not {seed!r}")
    keras.utils.set_random_seed(seed)
    keras_private.renew_global_generator()
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # The CPU kernels are repeatable as they are; asking for determinism there only slows data pipelines down.
        if tf.config.list_physical_devices("GPU"):
            tf.config.experimental.enable_op_determinism()
    elif keras.backend.backend() == "torch":
        import torch

        torch.use_deterministic_algorithms(True, warn_only=True)
