"""Calls of functional models on PyTorch with fewer steps of Python, or none; on other backends Keras does as ever."""

from __future__ import annotations

from typing import Any

import keras

from bert4keras2.functional import keras_private
from bert4keras2.functional.functions import is_torch_tensor
from bert4keras2.functional.graph_plan import GraphPlan
from bert4keras2.training.compiled_pass import CompiledPass

__all__ = ["PlannedRuns"]


class PlannedRuns:
    """Methods of Keras' functional models, to be mixed into a keras.Model."""

    # In tuples, where neither Keras nor PyTorch looks for parts of the model.
    _plan: tuple[GraphPlan | None, ...] = (None,)
    _pass: tuple[CompiledPass | None, ...] = (None,)

    def compile_pass(self, wanted: bool) -> None:
        """Let `fit`, `evaluate` and `predict` call a functional model as one compiled function on PyTorch, or not.

        Args:
            wanted: whether `compile` was asked for it.
        """
        possible = keras.backend.backend() == "torch" and keras_private.is_functional(self)
        self.__dict__["_pass"] = (CompiledPass(self) if wanted and possible else None,)

    def compiled_outputs(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return what a call with these arguments returns by the compiled pass; None where there is none for it."""
        if self._pass[0] is None or len(args) != 1 or kwargs.keys() - {"training"} or isinstance(args[0], dict):
            return None  # Keras finds the inputs that a dictionary names
        inputs = keras.tree.flatten(args[0])
        fit = len(inputs) == len(self.inputs) and not any(isinstance(x, keras.KerasTensor) for x in inputs)
        if not fit or keras_private.in_stateless_scope():
            return None
        tensors = [keras.ops.convert_to_tensor(x, t.dtype) for x, t in zip(inputs, self.inputs, strict=True)]
        if any(x.ndim != len(t.shape) for x, t in zip(tensors, self.inputs, strict=True)):
            return None  # Keras makes it fit, or says what is wrong
        return self._pass[0](tensors, bool(kwargs.get("training")))

    def _should_torch_compile(self) -> bool:
        return self._pass[0] is None and super()._should_torch_compile()

    def _run_through_graph(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        others = len(args) > 1 or kwargs.keys() - {"operation_fn"}
        if others or not _are_tensors(inputs := keras.tree.flatten(inputs)):
            return super()._run_through_graph(inputs, *args, **kwargs)
        plan = self._plan[0]
        if plan is None or plan.graph is not keras_private.graph_of(self):
            plan = GraphPlan(self)
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
    return all(map(is_torch_tensor, values))
