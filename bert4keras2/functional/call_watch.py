"""What a function asks of PyTorch: the numbers that it brings along, and whether it looks at results.

Both stand in the way of a record of what a GPU does: a number that Python holds is not on the GPU, and who reads a
result decides by it what comes next.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["call_watch"]

# Methods and functions whose results hang on values.
READERS = "item tolist numpy cpu __array__ __bool__ __float__ __int__ __index__ nonzero unique masked_select"

# Arguments that are numbers: a tensor is read for them.
FACTORS = "alpha", "beta", "value"


def call_watch(constants: Sequence[tuple[Any, Any]] | None = None) -> Any:
    """Return a context that sees the calls within it.

    Args:
        constants: those of an earlier call of the same function; it gets copies of the same tensors again, which are on
            their device already. None: they are noted.

    Returns:
        The context, with `constants`, a list of (data, tensor), and `problem`, what was read, None if nothing was.
    """
    return _watch_class()(constants)


@functools.cache
def _watch_class() -> type:
    import torch
    from torch.overrides import TorchFunctionMode

    makers = (torch.as_tensor, torch.tensor, torch.from_numpy)
    owners = (torch.Tensor, torch)
    readers = {getattr(owner, name) for owner in owners for name in READERS.split() if hasattr(owner, name)}

    class Watch(TorchFunctionMode):
        """See `call_watch`."""

        def __init__(self, constants: Sequence[tuple[Any, Any]] | None):
            super().__init__()
            self.constants = [] if constants is None else list(constants)
            self.problem: str | None = None
            self._next = None if constants is None else 0

        def __torch_function__(self, function, types, args=(), kwargs=None):
            kwargs = kwargs or {}
            if function in makers and args and not isinstance(args[0], torch.Tensor):
                return self._constant(function, args, kwargs)
            if function is torch.full and isinstance(kwargs.get("fill_value"), torch.Tensor):
                return _full(**kwargs)
            reads = function in readers or any(isinstance(kwargs.get(name), torch.Tensor) for name in FACTORS)
            if reads and self.problem is None:
                self.problem = f"it reads a tensor ({function.__name__.strip('_')})"
            return function(*args, **kwargs)

        def _constant(self, function, args, kwargs):
            if self._next is None:
                made = function(*args, **kwargs)
                self.constants.append((args[0], made.clone()))
                return made
            known, kept = self.constants[self._next] if self._next < len(self.constants) else (None, None)
            self._next += 1
            if kept is None or not np.array_equal(np.asarray(known), np.asarray(args[0])):
                raise ValueError(f"a number differs from call to call ({args[0]})")
            return kept.clone()

    return Watch


def _full(size: Any, fill_value: Any, dtype: Any = None, device: Any = None) -> Any:
    """Return what torch.full does of a tensor, without reading it, which Keras has it do."""
    return fill_value.to(device=device, dtype=dtype).expand(size).clone()
