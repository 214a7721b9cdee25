"""Resizing a checkpoint's weights to a model of other widths, keeping the size of what flows through it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bert4keras2.snippets import orthogonally_resize

__all__ = ["Resizer"]


class Resizer:
    """Resizes weights so that a wider or narrower model starts close to the one that was trained.

    A matrix is repeated or cut by `orthogonally_resize`, which keeps its norm; then those whose input or output would
    grow with the width are rescaled: queries and keys by the fourth root of the ratio of widths (their product is
    divided by the square root of it), the two feed-forward projections by its square root (kexue.fm/archives/8444).

    Args:
        config: the model's configuration, whose activation decides the feed-forward rule.
    """

    def __init__(self, config: Any):
        self.homogeneous = config.hidden_act == "relu"

    def for_variable(self, path: str) -> Callable[[np.ndarray, tuple[int, ...]], np.ndarray]:
        """Return the function (array, shape) -> array for the variable of a path."""

        def resize(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
            first, last = shape[0] / array.shape[0], shape[-1] / array.shape[-1]
            return orthogonally_resize(array, shape) * self.factor(path, first, last)

        return resize

    def factor(self, path: str, first: float, last: float) -> float:
        """Return what a resized array is multiplied by, given the ratios of its first and last dimension."""
        if "Attention/q_dense" in path or "Attention/k_dense" in path:
            return last**0.25
        if "FeedForward/o_dense" in path:
            return first**-0.5
        if "FeedForward/i" in path:
            # relu(c x) = c relu(x), so its inner projection may shrink instead of growing.
            return first**-0.5 if self.homogeneous else last**0.5
        return 1.0
