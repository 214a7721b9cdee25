"""Calls of functional models on PyTorch with fewer steps of Python; on other backends Keras does as ever."""

from __future__ import annotations

from typing import Any

import keras

from bert4keras2.functional import keras_private
from bert4keras2.functional.graph_plan import GraphPlan

__all__ = ["PlannedRuns"]


class PlannedRuns:
    """Methods of Keras' functional models, to be mixed into a keras.Model."""

    _plan: tuple[GraphPlan | None, ...] = (None,)

    def _run_through_graph(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        others = len(args) > 1 or kwargs.keys() - {"operation_fn"}
        if others or not _are_tensors(inputs := keras.tree.flatten(inputs)):
            return super()._run_through_graph(inputs, *args, **kwargs)
        plan = self._plan[0]
        if plan is None or plan.graph is not keras_private.graph_of(self):
            plan = GraphPlan(self)
            # In a tuple, where neither Keras nor PyTorch looks for parts of the model.
            self.__dict__["_plan"] = (plan,)
        if not plan.is_whole:
            return super()._run_through_graph(inputs, *args, **kwargs)
        operation_fn = args[0] if args else kwargs.get("operation_fn", lambda layer: layer)
        outputs = plan.run(inputs, operation_fn)
        return keras.tree.pack_sequence_as(keras_private.output_structure(self), outputs)

    def _maybe_warn_inputs_struct_mismatch(self, inputs: Any, *args: Any, **kwargs: Any) -> None:
        expected = keras_private.input_structure(self)
        usual = isinstance(inputs, list | tuple) and isinstance(expected, list) and len(inputs) == len(expected)
        if not usual or not _are_tensors(inputs) or not all(isinstance(x, keras.KerasTensor) for x in expected):
            super()._maybe_warn_inputs_struct_mismatch(inputs, *args, **kwargs)


def _are_tensors(values: list[Any]) -> bool:
    """Whether these are tensors of PyTorch, and not symbolic ones."""
    if keras.backend.backend() != "torch":
        return False
    import torch

    return all(isinstance(value, torch.Tensor) for value in values)
