"""Training steps and passes of a model on a GPU without Python: what comes again is recorded, and played.

A record of a step holds its loss, gradients, optimizer and metrics too. Weights, learning rates, counters and metrics
are variables, which it reads and writes where they are; what Python alone knows stays as it was when it was made.
"""

from __future__ import annotations

import threading
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from bert4keras2.functional import keras_private
from bert4keras2.functional.compiled import structure_version
from bert4keras2.functional.cuda_record import CudaRecord, NotRecordableError
from bert4keras2.functional.functions import is_torch_tensor

__all__ = ["Recorded"]

# A set of shapes is recorded when it comes for the third time, and the first eight that do: each record takes memory.
OFTEN, MOST = 3, 8


class Recorded:
    """The records of one model.

    Args:
        model: a model on PyTorch whose weights are on a GPU.

    Attributes:
        problems: {"step" or "pass": why it is not recorded}.
    """

    def __init__(self, model: Any):
        self._model, self._is_busy, self._lock = model, False, threading.RLock()
        self._device = keras_private.raw_value(model.variables[0]).device
        self._begin()

    def _begin(self) -> None:
        self.problems: dict[str, str] = {}
        self._version, self._optimizer = structure_version(), self._model.optimizer
        self._seen: Counter[Any] = Counter()
        self._made: dict[Any, tuple[CudaRecord, Callable[[list[Any]], Any]]] = {}
        self._variables: list[Any] = []
        self._places: list[Any] = []
        self._most, self._pool = MOST, None

    def step(self, step: Callable[[Any], dict[str, Any]], data: Any) -> dict[str, Any]:
        """Return the logs of a training step.

        Args:
            step: makes it of (inputs, targets, sample weights).
            data: a batch.
        """
        names: list[str] = []

        def logs_of(filled: Any) -> list[Any]:
            logs = step(filled)
            names[:] = list(logs)
            return [keras.ops.convert_to_tensor(value) for value in logs.values()]

        found = self._run("step", logs_of, data, lambda values: dict(zip(names, values, strict=True)))
        return step(data) if found is None else found

    def outputs(self, inputs: list[Any]) -> Any:
        """Return the model's outputs, with their masks, where no gradient is asked for; None if it is called as ever.

        Args:
            inputs: tensors in the order of the model's.
        """
        import torch

        if torch.is_grad_enabled():
            return None
        model, masked = self._model, []

        def outputs_of(given: list[Any]) -> list[Any]:
            nested = keras.tree.pack_sequence_as(keras_private.input_structure(model), given)
            outputs = keras.tree.flatten(keras.Model.__call__(model, nested, training=False))
            masks = [keras_private.torch_mask(output) for output in outputs]
            masked[:] = [place for place, mask in enumerate(masks) if mask is not None]
            return [*outputs, *(mask for mask in masks if mask is not None)]

        def nested_of(values: list[Any]) -> Any:
            count = len(values) - len(masked)
            for place, mask in zip(masked, values[count:], strict=True):
                keras_private.with_torch_mask(values[place], mask)
            return keras.tree.pack_sequence_as(keras_private.output_structure(model), values[:count])

        return self._run("pass", outputs_of, inputs, nested_of)

    def _run(
        self, kind: str, function: Callable[[Any], list[Any]], data: Any, result: Callable[[list[Any]], Any]
    ) -> Any:
        """Return what `result` makes of a function's values for nested data; None where there is no record."""
        leaves = [(path, leaf) for path, leaf in keras.tree.flatten_with_path(data) if leaf is not None]
        if not all(_is_array(leaf) for _, leaf in leaves):
            return None
        with self._lock:  # records read and write the same memory
            return None if self._is_busy else self._played(kind, function, data, leaves, result)

    def _played(
        self,
        kind: str,
        function: Callable[[Any], list[Any]],
        data: Any,
        leaves: list[tuple[Any, Any]],
        result: Callable[[list[Any]], Any],
    ) -> Any:
        import torch

        if self._has_changed():
            self._begin()
        tensors = [torch.as_tensor(leaf) for _, leaf in leaves]
        shapes = tuple((path, tensor.dtype, tensor.shape) for (path, _), tensor in zip(leaves, tensors, strict=True))
        key = kind, *shapes
        if key in self._made:
            record, result = self._made[key]
            return result(record.play(tensors))
        self._seen[key] += 1
        if kind in self.problems or self._seen[key] < OFTEN or len(self._made) >= self._most:
            return None

        def of_tensors(*given: Any) -> list[Any]:
            rest = iter(given)
            filled = [None if leaf is None else next(rest) for leaf in keras.tree.flatten(data)]
            return function(keras.tree.pack_sequence_as(data, filled))

        self._is_busy = True
        try:
            record = CudaRecord(of_tensors, [tensor.to(self._device) for tensor in tensors])
            self._keep(key, record, result)
        finally:
            self._is_busy = False
        return result(record.first)

    def _keep(self, key: Any, record: CudaRecord, result: Callable[[list[Any]], Any]) -> None:
        """Make a record and keep it, where that can be."""
        pool, self._pool = self._pool, None  # a record that breaks off is within it for good
        try:
            is_made = record.make(pool)
        except NotRecordableError as error:
            kind, name = key[0], self._model.name
            self.problems[kind] = str(error)
            warnings.warn(f"A {kind} of {name} is not recorded, and runs as without jit_compile: {error}", stacklevel=2)
            return
        if not is_made:
            self._most = len(self._made)  # the GPU's memory holds no more
            return
        self._pool = record.pool
        own = [] if self._optimizer is None else self._optimizer.variables
        self._variables = [*self._model.variables, *self._model.metrics_variables, *own]
        self._places = self._where()
        self._made[key] = record, result

    def _has_changed(self) -> bool:
        """Whether records show a model that is another one by now."""
        if self._version != structure_version() or self._optimizer is not self._model.optimizer:
            return True
        return bool(self._made) and self._places != self._where()

    def _where(self) -> list[tuple[int, bool]]:
        """Return where variables have their values, and whether they learn."""
        values = map(keras_private.raw_value, self._variables)
        return [(value.data_ptr(), value.requires_grad) for value in values]


def _is_array(value: Any) -> bool:
    """Whether a value is a tensor, or can be one."""
    return is_torch_tensor(value) or (isinstance(value, np.ndarray) and value.dtype.kind in "biuf")
