"""Calls of functional models on PyTorch with fewer steps of Python, or none; on other backends Keras does as ever."""

from __future__ import annotations

from typing import Any

import keras

from bert4keras2.functional import keras_private
from bert4keras2.functional.functions import is_torch_tensor
from bert4keras2.functional.graph_plan import GraphPlan
from bert4keras2.training.recorded import Recorded

__all__ = ["PlannedRuns"]


class PlannedRuns:
    """Methods of Keras' functional models, to be mixed into a keras.Model."""

    # In tuples, where neither Keras nor PyTorch looks for parts of the model.
    _plan: tuple[GraphPlan | None, ...] = (None,)
    _records: tuple[Recorded | None, ...] = (None,)

    def record_what_comes_again(self, wanted: bool) -> None:
        """Let a functional model on PyTorch record its steps and passes, or not; it needs a GPU.

        Args:
            wanted: whether `compile` was asked for it.
        """
        wanted = wanted and keras_private.is_functional(self) and is_on_gpu(self)
        self.__dict__["_records"] = (Recorded(self) if wanted else None,)

    def recorded_outputs(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return what a call for inference returns by its record; None where there is none."""
        records = self._records[0]
        if records is None or len(args) != 1 or kwargs.keys() - {"training"} or kwargs.get("training"):
            return None
        inputs = keras.tree.flatten(args[0])
        fit = len(inputs) == len(self.inputs) and not any(isinstance(x, keras.KerasTensor) for x in inputs)
        # Keras finds the inputs that a dictionary names.
        if not fit or isinstance(args[0], dict) or keras_private.in_stateless_scope():
            return None
        tensors = [keras.ops.convert_to_tensor(x, t.dtype) for x, t in zip(inputs, self.inputs, strict=True)]
        if any(x.ndim != len(t.shape) for x, t in zip(tensors, self.inputs, strict=True)):
            return None  # Keras makes it fit, or says what is wrong
        return records.outputs(tensors)

    def _should_torch_compile(self) -> bool:
        # A step that is read by torch.compile breaks at a dozen places in two blocks, and is slower.
        return not keras_private.is_functional(self) and super()._should_torch_compile()

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


def is_on_gpu(model: Any) -> bool:
    """Whether PyTorch has the weights of a model on a GPU."""
    variables = model.variables if keras.backend.backend() == "torch" else []
    return bool(variables) and keras_private.raw_value(variables[0]).is_cuda


def _are_tensors(values: list[Any]) -> bool:
    """Whether these are tensors of PyTorch, and not symbolic ones."""
    return all(map(is_torch_tensor, values))
