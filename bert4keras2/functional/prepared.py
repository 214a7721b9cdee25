"""Functions in the place of layers' calls, in a context, on PyTorch: a step of decoding calls hundreds of layers.

What a layer has to look at before it computes takes as long as the products of one row. For the steps of a decoder it
is looked at once, and what is left is a function of a tensor. It may read its matrix in bfloat16: half as much.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from bert4keras2.functional.keras_private import torch_mask
from bert4keras2.functional.packed import packed_product

__all__ = [
    "JointProduct",
    "Packing",
    "PreparedLayers",
    "Recipe",
    "TableFunction",
    "addition",
    "in_step",
    "narrow_product",
    "normalization",
    "packing_of_text",
    "prepared",
    "preparing",
    "product",
    "state_of",
]

# A step over few rows waits for the matrices, and reading fewer bits of them is faster; over many rows it computes.
# Where numbers of 16 bits are made into 32 first, that takes longer than reading half as much saves, but for one row.
FEW_ROWS, FEWEST_ROWS = 16, 1

# After how many calls that a packed matrix would serve it is packed, which takes as long as a few of them.
CALLS_BEFORE = 3

Function = Callable[[Any], Any]


class Packing(NamedTuple):
    """For which calls a packed matrix is faster than one as it lies.

    Attributes:
        least: number of rows.
        most: number of rows.
        weights: least number of them.
        tokens: of a text, at most.
    """

    least: int
    most: int
    weights: int
    tokens: int


# Of the steps of a decoder and of passes over one text, by PyTorch's name of a processor's widest instructions. Where
# nothing is said of a text, a copy of the matrices was not found worth its memory.
STEPS, STEPS_OF = Packing(4, 64, 1_000_000, 8), {"AVX2": Packing(1, 64, 1_000_000, 8)}
TEXT_OF = {"AVX2": Packing(1, 128, 500_000, 128)}

# {id of a layer: its function}, in the context of a call. Each thread has its own.
_FUNCTIONS: ContextVar[dict[int, Function]] = ContextVar("functions", default={})  # noqa: B039 (not changed)


def prepared(layer: Any) -> Function | None:
    """Return the function that stands for a layer in this context, None if there is none.

    It returns None for a tensor that it is not made for: the layer computes as ever then.
    """
    return _FUNCTIONS.get().get(id(layer))


@contextmanager
def preparing(*kept: PreparedLayers) -> Iterator[None]:
    """A context in which layers have these functions."""
    token = _FUNCTIONS.set({key: function for one in kept for key, function in one.functions().items()})
    try:
        yield
    finally:
        _FUNCTIONS.reset(token)


def in_step() -> bool:
    """Whether layers have functions here: the steps of a decoder, which write into no mask."""
    return bool(_FUNCTIONS.get())


class Recipe(NamedTuple):
    """How a layer's function is made.

    Attributes:
        layer: the layer.
        variables: those that it reads; the function is made anew when one has other values.
        make: returns the function for their tensors.
    """

    layer: Any
    variables: list[Any]
    make: Callable[..., Function]


class PreparedLayers:
    """Functions of a model's layers, renewed when weights change. The layers' own variables stay as they are.

    Args:
        recipes: returns those of the layers that may have a function now.
    """

    def __init__(self, recipes: Callable[[], list[Recipe]]):
        self._recipes = recipes
        self._kept: dict[int, tuple[Any, Function]] = {}

    def functions(self) -> dict[int, Function]:
        """Return {id of a layer: its function} for the values that the variables have now."""
        found = {}
        for layer, variables, make in self._recipes():
            tensors = [variable.value for variable in variables]
            state = [state_of(tensor) for tensor in tensors]
            key = id(layer)
            if key not in self._kept or self._kept[key][0] != state:
                self._kept[key] = state, make(*(tensor.detach() for tensor in tensors))
            found[key] = self._kept[key][1]
        return found


def state_of(tensor: Any) -> tuple[Any, ...]:
    """Return what differs when a tensor has other values.

    PyTorch counts its changes in place, which is how variables are assigned and trained, but in inference mode.
    """
    return tensor.data_ptr(), None if tensor.is_inference() else tensor._version, tuple(tensor.shape)


@functools.cache
def packing_of_text() -> Packing | None:
    """Return for which passes over a text this processor has packed matrices, None for none."""
    from torch.backends.cpu import get_cpu_capability

    return TEXT_OF.get(get_cpu_capability())


def product(matrix: Any, bias: Any = None, packing: Packing | None = None) -> Function:
    """Return the function from (..., K) to (..., N) of a matrix (N, K) and a bias (N,).

    A large matrix is packed for calls of a few rows, a copy of it, in the third of them.

    Args:
        matrix, bias: tensors.
        packing: which calls these are; those of a decoder's steps if None.
    """
    from torch.backends.cpu import get_cpu_capability
    from torch.nn.functional import linear

    packing = packing or STEPS_OF.get(get_cpu_capability(), STEPS)

    def usual(x: Any) -> Any:
        return linear(x, matrix, bias) if x.dtype is matrix.dtype else None

    if matrix.numel() < packing.weights:
        return usual
    least, most = (count * matrix.shape[1] for count in packing[:2])
    calls, packed = 0, None

    def function(x: Any) -> Any:
        nonlocal calls, packed
        few = least <= x.numel() <= most and (x.ndim < 3 or x.shape[-2] <= packing.tokens)
        if not few or x.dtype is not matrix.dtype:
            return usual(x)
        if packed is not None:
            return packed(x)
        calls += 1
        if calls == CALLS_BEFORE:
            packed = packed_product(matrix, bias)
        return usual(x)

    return function


def narrow_product(matrix: Any, bias: Any = None) -> Function:
    """Return the same for few rows, with the matrix in bfloat16.

    Products are summed in float32 and rounded to bfloat16 once, as the matrix and what it is multiplied with are: three
    digits of each are left. Where a processor does not multiply such numbers, that is faster for one row alone.
    """
    import torch

    narrow, few = matrix.to(torch.bfloat16), FEW_ROWS
    multiply = packed_product(narrow)
    if multiply is None:
        multiply, few = functools.partial(torch.nn.functional.linear, weight=narrow.contiguous()), FEWEST_ROWS
    whole, limit = product(matrix, bias), few * matrix.shape[1]

    def function(x: Any) -> Any:
        if x.numel() > limit:
            return whole(x)
        found = multiply(x.to(torch.bfloat16)).to(x.dtype)
        return found if bias is None else found + bias.to(x.dtype)

    return function


class JointProduct:
    """The function of a layer whose product with a tensor can be one with those of other layers: queries, keys, values.

    One product has less around it than three have, which counts where rows are few.

    Args:
        make: `product` or `narrow_product`.
        weights: (matrix (N, K), bias (N,) | None) of each of the layers, this one first.
    """

    def __init__(self, make: Callable[..., Function], weights: list[tuple[Any, Any]]):
        self._make, self._weights = make, weights
        # Made when they are asked for: where keys come from elsewhere there is nothing to join.
        self._own: Function | None = None
        self._joint: Function | None = None

    def __call__(self, x: Any) -> Any:
        """Return (..., N) of (..., K), the product of this layer alone."""
        if self._own is None:
            self._own = self._make(*self._weights[0])
        return self._own(x)

    def heads(self, x: Any, size: int) -> tuple[Any, ...] | None:
        """Return the product of each layer by heads of a size, (B, T, N / size, size) of (B, T, K)."""
        if self._joint is None:
            import torch

            matrices, biases = zip(*self._weights, strict=True)
            bias = None if biases[0] is None else torch.cat(biases)
            self._joint = self._make(torch.cat([matrix.contiguous() for matrix in matrices]), bias)
        found = self._joint(x)
        if found is None:
            return None
        return found.unflatten(-1, (-1, size)).split([matrix.shape[0] // size for matrix, _ in self._weights], dim=-2)


class TableFunction:
    """The function of a table of vectors (V, D): products with all of them, and one of them for each row.

    Args:
        table: the tensor.
        narrow: read it in bfloat16 for the products of few rows.
        rows: whether rows of it are looked up as they are; not where the layer casts them.
    """

    def __init__(self, table: Any, narrow: bool = False, rows: bool = True):
        self._table = table if rows else None
        self._product = (narrow_product if narrow else product)(table)

    def __call__(self, x: Any) -> Any:
        """Return (..., V) of (..., D)."""
        return self._product(x)

    def look_up(self, ids: Any) -> Any:
        """Return (B, 1, D) of ids (B, 1), None for ids (B, T)."""
        from torch.nn.functional import embedding

        single = self._table is not None and ids.ndim == 2 and ids.shape[1] == 1
        return embedding(ids, self._table) if single else None


def addition() -> Callable[[list[Any]], Any]:
    """Return the sum of two tensors without masks."""
    return lambda parts: (
        None if len(parts) != 2 or any(torch_mask(part) is not None for part in parts) else parts[0] + parts[1]
    )


def normalization(gamma: Any, beta: Any, epsilon: float) -> Function:
    """Return the layer normalization of (..., C) with these weights (C,)."""
    from torch.nn.functional import layer_norm

    shape = gamma.shape
    return lambda x: layer_norm(x, shape, gamma, beta, epsilon) if x.dtype is gamma.dtype else None
