"""RECOMPUTE=1: keep less in memory while training, by computing the blocks' layers a second time for the gradients."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from typing import Any

import keras

from bert4keras2.functional import keras_private

__all__ = ["recompute_layers", "recomputed"]


def recomputed(*names: str) -> contextlib.AbstractContextManager[Any]:
    """Return a context in which layers of these names are created as ones to compute twice, if RECOMPUTE=1 is set.

    Args:
        *names: names of the layers to be created; layers inside of them are part of them.
    """
    if os.environ.get("RECOMPUTE", "0").lower() not in ("1", "true", "yes", "on"):
        return contextlib.nullcontext()
    return keras.RematScope(mode="list_of_layers", layer_names=list(names))


def recompute_layers(model: Any) -> None:
    """Give those layers of a model that were created to be computed twice a way to it, on TensorFlow and JAX.

    There Keras' own (3.15) hands all arguments to the backend as tensors, whether a layer trains among them, and loses
    the state of random numbers.
    """
    if keras.backend.backend() == "torch":
        return
    for layer in keras_private.recomputed_layers(model):
        keras_private.set_recomputation(layer, _Recomputation(layer))


class _Recomputation:
    """What Keras asks for the function to call in place of a layer's `call`."""

    def __init__(self, layer: Any):
        self.layer = layer
        self.inside = threading.local()

    def __call__(self, layer_call: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return layer_call if getattr(self.inside, "on", False) else self.run

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the layer returns for these arguments, and keep nothing of it for the gradients."""
        # Layers that draw random numbers count their draws in variables that are not trained. These are put in, so
        # that both computations draw the same, and what is left in them is taken out.
        layer, leaves = self.layer, keras.tree.flatten((args, kwargs))
        places = [i for i, leaf in enumerate(leaves) if keras.ops.is_tensor(leaf) and _is_float(leaf)]
        moving = [variable for variable in layer.variables if not variable.trainable]

        def compute(known: list[tuple[Any, Any]], tensors: Any) -> tuple[Any, list[Any]]:
            filled = list(leaves)
            for place, tensor in zip(places, tensors, strict=True):
                filled[place] = tensor
            new_args, new_kwargs = keras.tree.pack_sequence_as((args, kwargs), filled)
            self.inside.on = True
            try:
                with keras.StatelessScope(known) as scope:
                    # The whole layer, not `call` alone: gradients are taken when its dtypes are no longer set up.
                    outputs = layer(*new_args, **new_kwargs)
            finally:
                self.inside.on = False
            return outputs, [scope.get_current_value(variable) for variable in moving]

        run = _on_jax if keras.backend.backend() == "jax" else _on_tensorflow
        outputs, left = run(compute, layer.variables, moving, [leaves[place] for place in places])
        for variable, value in zip(moving, left, strict=True):
            variable.assign(value)
        return outputs


def _is_float(tensor: Any) -> bool:
    return "float" in keras.backend.standardize_dtype(tensor.dtype)


def _on_jax(compute: Callable[..., Any], variables: list[Any], moving: list[Any], tensors: list[Any]) -> Any:
    import jax

    def pure(values, tensors):
        return compute(list(zip(variables, values, strict=True)), tensors)

    return jax.checkpoint(pure)([variable.value for variable in variables], tensors)


def _on_tensorflow(compute: Callable[..., Any], variables: list[Any], moving: list[Any], tensors: list[Any]) -> Any:
    import tensorflow as tf

    # TensorFlow finds the weights by itself; values of the others before and after are closed over.
    start = [(variable, tf.identity(variable.value)) for variable in moving]
    left: list[Any] = []

    def call(*tensors):
        outputs, values = compute(start, tensors)
        left[:] = left or values  # of the first computation
        return outputs

    return tf.recompute_grad(call)(*tensors), left
