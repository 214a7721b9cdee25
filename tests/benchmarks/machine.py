"""What a machine can do at most: products of matrices, and reading memory."""

from __future__ import annotations

import statistics
import time

import numpy as np

__all__ = ["limits"]


def limits(repeats: int = 5, size: int = 2048, megabytes: int = 512) -> dict[str, float]:
    """Return {"gemm": float32 operations a second, "memory": bytes a second} of NumPy's BLAS and of a sum over memory.

    Args:
        repeats: of which the median counts.
        size: rows and columns of the matrices.
        megabytes: read at once; more than the caches hold.
    """
    random = np.random.RandomState(0)
    a, b = (random.standard_normal((size, size)).astype("float32") for _ in range(2))
    row, matrix = np.ones(4096, "float32"), np.ones((megabytes * 2**20 // 4 // 4096, 4096), "float32")
    return {
        "gemm": 2 * size**3 / _seconds(lambda: a @ b, repeats),
        "memory": matrix.nbytes / _seconds(lambda: matrix @ row, repeats),
    }


def _seconds(run, repeats: int) -> float:
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
