"""The dtype policy of the layers that are made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras

__all__ = ["dtype_policy"]


@contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """A context in which layers are made with another dtype policy.

    Args:
        name: as keras.config.set_dtype_policy takes it, such as "mixed_bfloat16".
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
