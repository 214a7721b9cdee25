"""Weight initializers that draw anew at each call, so that one instance can serve a whole model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from bert4keras2.functional.later_draws import truncated_normal
from bert4keras2.functional.registry import register

__all__ = ["ByFunction", "DepthScaledNormal", "Sinusoidal", "TruncatedNormal", "serialize_initializer"]


@register
class TruncatedNormal(keras.initializers.Initializer):
    """Normal distribution cut at two standard deviations, as BERT was initialised.

    Keras' own random initializers return the same numbers whenever one instance meets the same shape again; a
    model that hands one initializer to all its layers needs independent draws.

    Args:
        stddev: standard deviation before cutting.
    """

    def __init__(self, stddev: float = 0.02):
        self.stddev = stddev

    def __call__(self, shape, dtype=None, **kwargs):
        return truncated_normal(shape, self.stddev, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"stddev": self.stddev}


@register
class DepthScaledNormal(keras.initializers.Initializer):
    """Truncated normal whose deviation falls with width and depth: 1.1368 / sqrt(d) * L^(-1/order).

    With d the number of rows of a kernel (the columns of an embedding); RoFormerV2 was trained from it (order 2)
    and GAU-alpha (order 3). The factor undoes what cutting at two deviations takes from the variance.

    Args:
        depth: number of layers L.
        order: root of the depth that scales the deviation.
    """

    def __init__(self, depth: int, order: int = 2):
        self.depth, self.order = depth, order

    def __call__(self, shape, dtype=None, order: int | None = None, gain: float = 1.0, **kwargs):
        # Models of scripts override `initializer(shape, dtype, order, gain)`.
        width = shape[1] if len(shape) == 2 and shape[0] > 10 * shape[1] else shape[0]
        stddev = gain * 1.13684723 / width**0.5 * self.depth ** (-1 / (order or self.order))
        return truncated_normal(shape, stddev, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"depth": self.depth, "order": self.order}


@register
class Sinusoidal(keras.initializers.Initializer):
    """A (length, width) table of sinusoidal positions (Vaswani et al., arXiv:1706.03762)."""

    def __call__(self, shape, dtype=None, **kwargs):
        from bert4keras2.functional.functions import sinusoidal_embeddings

        length, width = shape
        return keras.ops.cast(sinusoidal_embeddings(keras.ops.arange(length), width), dtype or "float32")


@register
class ByFunction(keras.initializers.Initializer):
    """An initializer that asks a function, such as the `initializer` method of a model class.

    A saved model cannot name such a function. Its weights come from the file, so what it is loaded with draws as BERT
    does, for those who go on to initialise layers by it.

    Args:
        function: called with (shape, dtype=...); None after loading.
    """

    def __init__(self, function: Callable[..., Any] | None = None):
        self.function = function or TruncatedNormal()

    def __call__(self, shape, dtype=None, **kwargs):
        return self.function(shape, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        return {}


def serialize_initializer(initializer: Any) -> Any:
    """Return what a layer's config keeps of an initializer.

    A bound method (the `initializer` hook of a model class) cannot be found again when a model is loaded; the
    weights come from the file then, so any initializer does.
    """
    if isinstance(initializer, keras.initializers.Initializer):
        return keras.initializers.serialize(initializer)
    return initializer if isinstance(initializer, str) else "glorot_uniform"
