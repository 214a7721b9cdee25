"""The calls of a functional model as a list that is run on PyTorch without looking through the graph each time.

Keras fills in the arguments of each call by walks through nested structures. What they are is known when the model is
built: of 80 calls, nearly all take one tensor or a list of two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from bert4keras2.functional import keras_private

__all__ = ["GraphPlan"]

Getter = Callable[[dict[int, Any]], Any]


class GraphPlan:
    """The calls of a functional model, in the order in which Keras makes them.

    Args:
        model: a functional model.
    """

    def __init__(self, model: Any):
        self.graph = keras_private.graph_of(model)
        self._inputs = [id(tensor) for tensor in model.inputs]
        self._outputs = [id(tensor) for tensor in model.outputs]
        known, used = set(self._inputs), []
        self._steps: list[tuple[Any, list[Getter], list[tuple[str, Getter]], list[int], list[int]]] = []
        for call in keras_private.calls_in_order(model):
            if not known.issuperset(map(id, call.inputs)):
                continue  # it belongs to another model that shares the layer
            made = [id(tensor) for tensor in call.outputs]
            known.update(made)
            args = [_getter(value) for value in call.args]
            kwargs = [(name, _getter(value)) for name, value in call.kwargs.items()]
            used.append(_keys((call.args, call.kwargs)))
            self._steps.append((call.layer, args, kwargs, made, []))
        #: Whether all outputs can be computed.
        self.is_whole = known.issuperset(self._outputs)
        # What no later call needs is let go after each: else all that a pass computes would be in memory at its end.
        kept = set(self._outputs)
        for (_, _, _, made, done), keys in zip(reversed(self._steps), reversed(used), strict=True):
            done += {*keys, *made} - kept
            kept.update(keys)

    def run(self, inputs: list[Any], operation_fn: Callable[[Any], Callable[..., Any]]) -> list[Any]:
        """Return the outputs, in a flat list.

        Args:
            inputs: tensors in the order of the model's.
            operation_fn: returns what is called for a layer.
        """
        values = dict(zip(self._inputs, inputs, strict=True))
        for layer, args, kwargs, made, done in self._steps:
            found = operation_fn(layer)(*[get(values) for get in args], **{name: get(values) for name, get in kwargs})
            if len(made) == 1 and not isinstance(found, list | tuple | dict):
                values[made[0]] = found
            else:
                values.update(zip(made, keras.tree.flatten(found), strict=False))
            del found
            for key in done:
                values.pop(key, None)
        return [values[output] for output in self._outputs]


def _keys(value: Any) -> set[int]:
    """Return the keys of the symbolic tensors in an argument."""
    return {id(part) for part in keras.tree.flatten(value) if isinstance(part, keras.KerasTensor)}


def _getter(value: Any) -> Getter:
    """Return a function that puts tensors in the place of symbolic ones, wherever these stand in an argument."""
    if isinstance(value, keras.KerasTensor):
        key = id(value)
        return lambda values: values[key]
    symbolic = [isinstance(part, keras.KerasTensor) for part in keras.tree.flatten(value)]
    if not any(symbolic):
        return lambda values: value
    if type(value) in (list, tuple):
        kind, parts = type(value), [_getter(part) for part in value]
        return lambda values: kind([part(values) for part in parts])
    return lambda values: keras.tree.map_structure(
        lambda part: values[id(part)] if isinstance(part, keras.KerasTensor) else part, value
    )
