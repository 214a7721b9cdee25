"""Products with copies of matrices in bfloat16, where a context says so: few rows on PyTorch then read half as much."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

__all__ = ["NarrowMatrices", "narrow_product", "narrowed"]

# A step over few rows waits for the matrices, and reading fewer bits of them is faster; over many rows it computes.
FEW_ROWS = 16

# {id of a layer: the product with its matrix}, in the context of a call. Each thread has its own.
_PRODUCTS: ContextVar[dict[int, Callable[[Any], Any]]] = ContextVar("products", default={})  # noqa: B039 (not changed)


def narrow_product(layer: Any, x: Any) -> Any:
    """Return the product (..., N) of a tensor (..., K) and the narrow copy of a layer's matrix.

    None if there is no copy in this context, or the tensor has too many rows for it to be worthwhile.
    """
    product = _PRODUCTS.get().get(id(layer))
    return None if product is None or x.numel() > FEW_ROWS * x.shape[-1] else product(x)


@contextmanager
def narrowed(matrices: NarrowMatrices | None) -> Iterator[None]:
    """A context in which layers use narrow copies of their matrices; None: their own."""
    token = _PRODUCTS.set({} if matrices is None else matrices.products())
    try:
        yield
    finally:
        _PRODUCTS.reset(token)


class NarrowMatrices:
    """Copies of layers' matrices in bfloat16, renewed when the matrices change.

    Products are summed in float32 and rounded to bfloat16 once, as the matrices and what they are multiplied with are:
    three digits of each are left. The layers' own variables stay as they are.

    Args:
        layers: returns {id of a layer: (its variable, whether it is (K, N) rather than (N, K))}.
    """

    def __init__(self, layers: Callable[[], dict[int, tuple[Any, bool]]]):
        self._layers = layers
        self._kept: dict[int, tuple[Any, Callable[[Any], Any]]] = {}

    def products(self) -> dict[int, Callable[[Any], Any]]:
        """Return {id of a layer: function from (..., K) to (..., N)} for the values that the variables have now."""
        found = {}
        for key, (variable, turned) in self._layers().items():
            tensor = variable.value
            # PyTorch counts the changes of a tensor in place, which is how variables are assigned and trained.
            state = tensor.data_ptr(), tensor._version, tuple(tensor.shape)
            if key not in self._kept or self._kept[key][0] != state:
                self._kept[key] = state, _product(tensor.detach(), turned)
            found[key] = self._kept[key][1]
        return found


def _product(matrix: Any, turned: bool) -> Callable[[Any], Any]:
    import torch

    narrow = (matrix.t() if turned else matrix).to(torch.bfloat16).contiguous()
    return lambda x: torch.nn.functional.linear(x.to(torch.bfloat16), narrow).to(x.dtype)
