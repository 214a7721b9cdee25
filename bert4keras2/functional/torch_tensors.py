"""PyTorch's tensors as scripts for other backends treat them: with NumPy's arrays, and as NumPy's arrays."""

from __future__ import annotations

import functools
from typing import Any

import keras

from bert4keras2.functional import keras_private

__all__ = ["forgiving", "plain"]

TWO_SIDED = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor")
OPERATORS = [f"__{side}{name}__" for name in TWO_SIDED for side in ("", "r")]
OPERATORS += ["__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"]


@functools.cache
def _forgiving_tensor() -> type:
    import numpy as np
    import torch

    class ForgivingTensor(torch.Tensor):
        """A tensor that takes other libraries' arrays for operands; NumPy can read it though it has a gradient."""

        def numpy(self, *args: Any, **kwargs: Any) -> Any:
            """Return the values, without a gradient and wherever they are."""
            return plain(self).detach().cpu().numpy(*args, **kwargs)

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return np.asarray(self.numpy(), dtype)

    def _operand(array: Any, own: Any) -> Any:
        """Return an array as a tensor beside another; floats, which are doubles in NumPy, as those of the other."""
        tensor = torch.as_tensor(array, device=own.device)
        return tensor.to(own.dtype) if tensor.is_floating_point() and own.is_floating_point() else tensor

    def with_arrays(name: str) -> Any:
        operator = getattr(torch.Tensor, name)

        def method(self: Any, other: Any) -> Any:
            if not isinstance(other, torch.Tensor) and hasattr(other, "__array__"):  # TensorFlow's too (tf.eye)
                other = _operand(np.asarray(other), self)
            return operator(self, other)

        return method

    # PyTorch refuses arrays before a subclass is asked (__torch_function__), so each operator is one of ours.
    for name in OPERATORS:
        setattr(ForgivingTensor, name, with_arrays(name))
    ForgivingTensor.__hash__ = torch.Tensor.__hash__
    return ForgivingTensor


def forgiving(tensors: Any) -> Any:
    """Return tensors, alone or nested, that NumPy's arrays can be multiplied with, and their masks with them.

    On other backends, and where torch.compile traces, which takes no other kinds of tensors, they are as they are.
    """
    if keras.backend.backend() != "torch":
        return tensors
    import torch

    if torch.compiler.is_compiling():
        return tensors
    return keras.tree.map_structure(lambda t: _as(t, _forgiving_tensor()) if type(t) is torch.Tensor else t, tensors)


def _as(tensor: Any, kind: type) -> Any:
    return keras_private.with_mask_of(tensor.as_subclass(kind), tensor)


def plain(tensor: Any) -> Any:
    """Return a tensor of `forgiving` as PyTorch's own."""
    if keras.backend.backend() != "torch":
        return tensor
    import torch

    if not isinstance(tensor, torch.Tensor) or type(tensor) is torch.Tensor:
        return tensor
    return _as(tensor, torch.Tensor)
