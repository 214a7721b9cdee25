"""A model's pass on PyTorch as one compiled function.

Keras hands whole steps to torch.compile, which reads Python and breaks at each thing that it does not know: a
dozen times in a model of two blocks, so that steps become slower. Here a pass is recorded by torch.export as the
operations that it makes, and these are compiled. Loss, gradients' end and optimizer stay as they are.
"""

from __future__ import annotations

import warnings
from typing import Any

import keras

from bert4keras2.functional import keras_private
from bert4keras2.functional.compiled import structure_version
from bert4keras2.functional.noted_scope import NotedScope

__all__ = ["CompiledPass"]


class CompiledPass:
    """A model's pass, recorded and compiled when it is first called, for training and for inference apart.

    Args:
        model: a functional model on PyTorch.
    """

    def __init__(self, model: Any):
        self._model = model
        self._version = structure_version()
        self._made: dict[Any, Any] = {}
        self._problem: str | None = None

    def __call__(self, inputs: list[Any], training: bool) -> Any:
        """Return the model's outputs, with their masks; None if the model has to be called as ever.

        Args:
            inputs: tensors in the order of the model's.
            training: whether the model learns.
        """
        if self._version != structure_version():
            self._version, self._made, self._problem = structure_version(), {}, None
        run = self._run_for(inputs, training) if self._problem is None else None
        if run is None:
            return None
        outputs, masks = run(inputs)
        for output, mask in zip(outputs, masks, strict=True):
            if mask is not None:
                keras_private.with_torch_mask(output, mask)
        return keras.tree.pack_sequence_as(keras_private.output_structure(self._model), outputs)

    def _run_for(self, inputs: list[Any], training: bool) -> Any:
        shapes = training, *(tuple(x.shape) for x in inputs)
        for key in (training, shapes):
            if key in self._made:
                return self._made[key]
        try:
            run, for_all = _recorded(self._model, inputs, training)
        except Exception as error:  # torch.export raises errors of many kinds
            self._problem = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            warnings.warn(
                f"{self._model.name} is not compiled, and runs as without jit_compile: {self._problem}", stacklevel=2
            )
            return None
        self._made[training if for_all else shapes] = run
        return run


def _recorded(model: Any, inputs: list[Any], training: bool) -> tuple[Any, bool]:
    """Return a compiled function of the inputs, and whether it takes all shapes."""
    import torch

    variables = model.variables

    def run(values: list[Any], given: list[Any]) -> tuple[list[Any], list[Any]]:
        with NotedScope(list(zip(variables, values, strict=True))) as noted:
            nested = keras.tree.pack_sequence_as(keras_private.input_structure(model), given)
            outputs = keras.tree.flatten(keras.Model.__call__(model, nested, training=training))
        if noted.assigned:
            names = ", ".join(sorted({variable.path for variable in noted.assigned.values()}))
            raise ValueError(f"its pass changes variables ({names}), which a recorded pass cannot do")
        if noted.losses:
            raise ValueError("its layers add losses, which a recorded pass cannot hand on")
        return outputs, [keras_private.torch_mask(output) for output in outputs]

    class Pass(torch.nn.Module):
        def forward(self, values: list[Any], given: list[Any]) -> tuple[list[Any], list[Any]]:
            return run(values, given)

    shapes = [tensor.shape for tensor in model.inputs]
    # What is recorded with one row would be taken for a rule.
    sizes = [
        [max(2, size) if known is None else size for size, known in zip(x.shape, shape, strict=True)]
        for x, shape in zip(inputs, shapes, strict=True)
    ]
    examples = [torch.zeros(size, dtype=x.dtype, device=x.device) for x, size in zip(inputs, sizes, strict=True)]
    values = [variable.value for variable in variables]
    free = [{axis: torch.export.Dim.AUTO for axis, size in enumerate(shape) if size is None} for shape in shapes]
    axes = {"values": [{} for _ in values], "given": free}
    program = torch.export.export(Pass(), (values, examples), dynamic_shapes=axes, strict=False)
    taken = [node.meta["val"].shape for node in program.graph.nodes if node.op == "placeholder"][-len(inputs) :]
    for_all = all(not isinstance(shape[axis], int) for shape, names in zip(taken, free, strict=True) for axis in names)
    if not for_all:
        program = torch.export.export(Pass(), (values, [torch.zeros_like(x) for x in inputs]), strict=False)
    compiled = torch.compile(program.module())
    return lambda given: compiled([variable.value for variable in variables], given), for_all
