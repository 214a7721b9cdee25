"""Registration of classes, so that saved models load without custom_objects."""

from __future__ import annotations

from typing import TypeVar

import keras

__all__ = ["register"]

T = TypeVar("T")


def register(cls: T) -> T:
    """Register a class (or function) with Keras under the package's name."""
    return keras.saving.register_keras_serializable(package="bert4keras2")(cls)
