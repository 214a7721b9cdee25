"""`predict` of few rows: the compiled step is called at once, where Keras builds a pipeline of data first.

A pipeline costs as much as a small model computes, and old scripts call `predict` for each sentence, or for each token
that they generate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from bert4keras2.functional import keras_private

__all__ = ["few_batches", "predict_batches"]

FEW = 8  # batches; over more, the time of a pipeline is little beside that of the model
ROWS = 32  # of a batch where nobody says it, as in Keras


def few_batches(model: Any, given: dict[str, Any]) -> list[Any] | None:
    """Return the batches that Keras' predict would make of arrays with few rows; None for all else.

    Args:
        model: what predicts.
        given: the arguments of its `predict`.
    """
    size = given.get("batch_size") or ROWS
    if given.get("steps") is not None or not isinstance(size, int) or size < 1:
        return None
    if isinstance(given.get("callbacks"), keras.callbacks.CallbackList) or keras_private.works_in_parts(model):
        return None
    x = given["x"]
    arrays = keras.tree.flatten(x)
    if not arrays or not all(isinstance(array, np.ndarray) and array.dtype.kind in "biuf" for array in arrays):
        return None
    sizes = {array.shape[0] if array.ndim else 0 for array in arrays}
    if len(sizes) != 1 or not 0 < max(sizes) <= FEW * size:
        return None  # Keras says what is wrong
    if keras.backend.backend() == "tensorflow":
        x = keras.tree.lists_to_tuples(x)  # as a tf.data.Dataset has it, so that both ways share what is traced
    x = keras.tree.map_structure(_float, x)
    starts = range(0, max(sizes), size)
    return [keras.tree.map_structure(lambda array, at=at: array[at : at + size], x) for at in starts]


def _float(array: np.ndarray) -> np.ndarray:
    """Return floats in Keras' usual precision, as its pipelines do."""
    return array.astype(keras.config.floatx(), copy=False) if array.dtype.kind == "f" else array


def predict_batches(
    model: Any, run: Callable[[Any], Any], batches: list[Any], callbacks: Any = None, verbose: Any = 0
) -> Any:
    """Return what Keras' predict returns for batches, with the same calls of callbacks and the same bar.

    Args:
        model: what predicts.
        run: Keras' `predict_on_batch`.
        batches: what `few_batches` returned.
        callbacks: of `predict`.
        verbose: of `predict`.
    """
    if keras.backend.backend() == "torch":
        model.eval()
    model.stop_predicting = False
    if not callbacks and not verbose:  # nobody listens: Keras' list of nobody begins threads for them
        found = [run(batch) for batch in batches]
    else:
        found = _told(model, run, batches, callbacks, verbose)
    return found[0] if len(found) == 1 else keras.tree.map_structure(_joined, *found)


def _told(model: Any, run: Callable[[Any], Any], batches: list[Any], callbacks: Any, verbose: Any) -> list[Any]:
    """Return the outputs of batches, with callbacks told of each, and the bar shown, as Keras' loop does."""
    listeners = keras.callbacks.CallbackList(
        callbacks, add_progbar=verbose != 0, verbose=verbose, epochs=1, steps=len(batches), model=model
    )
    listeners.on_predict_begin()
    found = []
    for step, batch in enumerate(batches):
        listeners.on_predict_batch_begin(step)
        outputs = run(batch)
        found.append(outputs)
        tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, outputs) if callbacks else outputs
        listeners.on_predict_batch_end(step, {"outputs": tensors})
        if model.stop_predicting:
            break
    listeners.on_predict_end()
    return found


def _joined(*parts: Any) -> Any:
    return np.concatenate(parts) if np.ndim(parts[0]) else np.stack(parts)
