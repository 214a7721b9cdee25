"""Whitening: vectors whose coordinates are uncorrelated and of the same spread (arXiv:2103.15316)."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from bert4keras2.files import atomic_path

__all__ = ["Whitening", "whitening"]


class Whitening:
    """The map x -> (x + bias) @ kernel, then to length 1.

    Args:
        kernel: (D, k).
        bias: (D,), minus the mean of the vectors it was fitted on.

    Raises:
        ValueError: if the shapes do not fit.
    """

    def __init__(self, kernel: Any, bias: Any):
        self.kernel = np.asarray(kernel, "float32")
        self.bias = np.asarray(bias, "float32")
        if self.kernel.ndim != 2 or self.bias.shape != self.kernel.shape[:1]:
            raise ValueError(
                f"kernel (D, k) and bias (D,) do not fit: their shapes are {self.kernel.shape} and {self.bias.shape}"
            )

    def __call__(self, vectors: Any, normalize: bool = True) -> np.ndarray:
        """Return whitened vectors.

        Args:
            vectors: (N, D) or (D,).
            normalize: scale them to length 1; without it their covariance is the identity.

        Returns:
            (N, k) or (k,), float32.

        Raises:
            ValueError: if the vectors have another width.
        """
        vectors = np.asarray(vectors, "float32")
        if vectors.ndim not in (1, 2) or vectors.shape[-1] != len(self.bias):
            raise ValueError(f"this whitening takes (N, {len(self.bias)}) vectors, not an array {vectors.shape}")
        white = (vectors + self.bias) @ self.kernel
        if normalize:
            white /= np.maximum(np.linalg.norm(white, axis=-1, keepdims=True), 1e-12)
        return white

    def save(self, path: str | os.PathLike) -> None:
        """Write kernel and bias to an npz file, beside its place first."""
        with atomic_path(path) as partial, open(partial, "wb") as file:
            np.savez(file, kernel=self.kernel, bias=self.bias)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Whitening:
        """Return what `save` wrote.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is no npz file, or has no kernel and bias.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls(file["kernel"], file["bias"])
        except FileNotFoundError:
            raise
        except Exception as error:  # a broken zip, an array alone, missing names
            raise ValueError(f"{os.fspath(path)} is not a whitening written by Whitening.save: {error}") from error


def whitening(vectors: Any, k: int | None = None) -> Whitening:
    """Return the whitening of vectors: W = U S^-1/2 of their sample covariance U S U', its first k columns.

    Args:
        vectors: (N, D), at least k + 1 of them; many more for a good estimate.
        k: dimensions to keep, those of the largest variance; all D by default.

    Raises:
        ValueError: if k is out of range, or the vectors are too few or vary in fewer than k dimensions.
    """
    x = np.asarray(vectors, "float64")
    if x.ndim != 2 or not x.shape[1]:
        raise ValueError(f"vectors is an array (N, D), not one of shape {x.shape}")
    count, width = x.shape
    k = width if k is None else k
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= width:
        raise ValueError(f"k is a whole number from 1 to {width}, the width of the vectors, not {k!r}")
    if count <= k:
        raise ValueError(f"{count} vectors are too few for {k} dimensions: give at least {k + 1}, or a smaller k")
    if not np.isfinite(x).all():
        raise ValueError("the vectors hold NaN or infinity")
    mean = x.mean(0)
    x = x - mean
    u, s, _ = np.linalg.svd(x.T @ x / (count - 1))
    rank = int((s > 1e-10 * s[0]).sum()) if s[0] > 0 else 0
    if rank < k:
        raise ValueError(f"the {count} vectors vary in {rank} dimensions only (duplicates?): pass k={rank} or less")
    return Whitening(u[:, :k] / np.sqrt(s[:k]), -mean)
