"""What a step of training creates, created before TensorFlow traces the step.

A function of TensorFlow whose first trace creates variables is traced once more. Keras lets optimizers and metrics do
so, which doubles the seconds before the first step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

__all__ = ["build_metrics", "build_optimizer"]


def build_metrics(model: Any, iterator: Any, batch: Any, ordered: Callable[..., Any]) -> None:
    """Create the variables of a model's metrics; where labels of a batch have no known rank, they are left to Keras.

    Args:
        model: a compiled functional model.
        iterator: what `fit` or `evaluate` go through, or None.
        batch: (inputs, labels, sample weights) in place of it.
        ordered: returns labels as metrics take them, of a model, labels and outputs.
    """
    metrics = model._compile_metrics
    if metrics is None or metrics.built or model._distribute_strategy is not None:
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
        metrics.build(ordered(model, labels, model._outputs_struct), model._outputs_struct)


def build_optimizer(model: Any) -> None:
    """Create the variables of a model's optimizer before TensorFlow traces a step, as for metrics."""
    if model.optimizer is not None and not model.optimizer.built and model._distribute_strategy is None:
        model.optimizer.build(model.trainable_variables)
