"""What a step of training creates, created before TensorFlow traces the step.

A function of TensorFlow whose first trace creates variables is traced once more. Keras lets optimizers and metrics do
so, which doubles the seconds before the first step.
"""

from __future__ import annotations

from typing import Any

import keras

from bert4keras2.functional.keras_private import is_functional
from bert4keras2.training.keras2_methods import targets_in_order

__all__ = ["build_metrics", "build_optimizer", "is_known"]


def is_known(model: Any) -> bool:
    """Whether what a model returns is what its graph says, on one device."""
    calls = next(kind for kind in type(model).__mro__ if "call" in vars(kind))
    return is_functional(model) and calls.__module__.startswith("keras.") and model._distribute_strategy is None


def build_metrics(model: Any, iterator: Any, batch: Any) -> None:
    """Create the variables of a model's metrics; where labels of a batch have no known rank, they are left to Keras.

    Args:
        model: a compiled functional model.
        iterator: what `fit` or `evaluate` go through, or None.
        batch: (inputs, labels, sample weights) in place of it.
    """
    metrics = model._compile_metrics
    if metrics is None or metrics.built:
        return
    if batch is None:
        batch = getattr(getattr(iterator, "_distributed_dataset", None), "element_spec", None)
    parts = batch if isinstance(batch, tuple) else ()
    labels = parts[1] if len(parts) > 1 else None
    known = [hasattr(x, "dtype") and getattr(x.shape, "rank", 0) is not None for x in keras.tree.flatten(labels)]
    if labels is not None and all(known):
        labels = keras.tree.map_structure(
            lambda x: keras.KerasTensor(tuple(x.shape), keras.backend.standardize_dtype(x.dtype)), labels
        )
        metrics.build(targets_in_order(model, labels, model._outputs_struct), model._outputs_struct)


def build_optimizer(model: Any) -> None:
    """Create the variables of a model's optimizer before TensorFlow traces a step, as for metrics."""
    if model.optimizer is not None and not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
