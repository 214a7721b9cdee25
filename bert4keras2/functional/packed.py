"""Products of few rows with a matrix that lies in the order in which oneDNN reads it, on PyTorch and a CPU.

PyTorch's own product arranges a matrix anew for each call, which costs as much as the product itself where there are
few rows. torch.compile knows these operators when it freezes weights; they have no public name.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

__all__ = ["packed_product"]

# What the order is chosen for: rows of samples and beams. It serves other numbers as well.
TYPICAL_ROWS = 8
# How far sums of 32 products of about 1, of a size of 6, may be from those of the usual product: what types round
# away is less than that, and anything else computes something else.
ROUNDED = {"float32": 1e-4, "bfloat16": 0.25}


def packed_product(matrix: Any, bias: Any = None) -> Callable[[Any], Any] | None:
    """Return the function from (..., K) to (..., N) of a copy of a matrix, None where PyTorch has no such product.

    It has no gradient.

    Args:
        matrix: (N, K), float32 or bfloat16.
        bias: (N,) of the same type, or None.
    """
    if matrix.device.type != "cpu" or not _available(str(matrix.dtype).removeprefix("torch.")):
        return None
    import torch

    packed = torch.ops.mkldnn._reorder_linear_weight(matrix.contiguous(), TYPICAL_ROWS)
    return lambda x: torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")


@functools.cache
def _available(dtype: str) -> bool:
    """Return whether the operators are there, take this type on this processor, and compute what they should."""
    if dtype not in ROUNDED:
        return False
    import torch

    draws = torch.Generator().manual_seed(0)
    matrix, x = (torch.randn(size, generator=draws).to(getattr(torch, dtype)) for size in ((16, 32), (2, 1, 32)))
    try:
        with torch.no_grad():
            packed = torch.ops.mkldnn._reorder_linear_weight(matrix, TYPICAL_ROWS)
            found = torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")
    except (AttributeError, RuntimeError, NotImplementedError, TypeError):
        return False
    expected = torch.nn.functional.linear(x, matrix)
    return found.shape == expected.shape and bool((found - expected).abs().max() <= ROUNDED[dtype])
