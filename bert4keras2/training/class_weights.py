"""`class_weight`: sample weights by the classes of labels, for arrays and batches alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from bert4keras2.training.heads import Head, LayerHead
from bert4keras2.training.label_checks import by_output

__all__ = ["ClassWeights"]


class ClassWeights:
    """Weights of classes for the outputs of a model.

    Args:
        given: {class: weight} or an array of weights by class; of a model with several outputs {output name: such},
            or a list of such. Classes and outputs that are not named count once.
        heads: what the model's outputs learn; not known if empty.

    Raises:
        TypeError: if weights are of another kind.
        ValueError: if a class or a weight is no number, or several outputs are not told apart.
    """

    def __init__(self, given: Any, heads: list[Head]):
        names = [head.name for head in heads]
        if len(heads) < 2:
            if isinstance(given, Mapping) and len(given) == 1 and [*given] == names:
                given = given[names[0]]
            self._by_output = {names[0] if names else None: _table(given)}
        else:
            self._by_output = {name: _table(weights) for name, weights in _named(given, names).items()}
        self._heads = {head.name: head for head in heads}

    def table(self) -> dict[int, float]:
        """Return {class: weight} for all classes of a model with one output, for datasets that Keras weighs itself.

        Raises:
            ValueError: if the model has several outputs.
        """
        if len(self._heads) > 1:
            raise ValueError(
                "class_weight weighs datasets of tf.data for models with one output; map the dataset to (inputs,"
                " targets, sample weights), or give a DataGenerator"
            )
        name, table = next(iter(self._by_output.items()))
        shape = self._heads[name].shape if name in self._heads else ()
        classes = max(table, default=0) + 1 if not shape or shape[-1] is None else shape[-1]
        return {label: table.get(label, 1.0) for label in range(max(classes, 2))}

    def __call__(self, y: Any, sample_weight: Any = None) -> Any:
        """Return sample weights with the weights of the classes multiplied in.

        Args:
            y: targets: one array, a list or a dict by the names of the outputs.
            sample_weight: weights so far, likewise or one array for all outputs; None for none.

        Raises:
            ValueError: if some targets have no classes to weigh.
        """
        if y is None:
            raise ValueError(
                "class_weight weighs targets, but there are none: the model's loss is a layer, or batches hold inputs"
                " alone. Weigh the classes where the loss is computed, as in compute_loss of the layer"
            )
        if len(self._heads) < 2:
            name, table = next(iter(self._by_output.items()))
            values = by_output(y, [name]).get(name)
            given = by_output(sample_weight, [name]).get(name)
            return _product(_weights(values, table, self._heads.get(name)), given)
        names = [*self._heads]
        values = by_output(y, names)
        given = by_output(sample_weight, names) or dict.fromkeys(names, sample_weight)
        weights = {}
        for name in names:
            weights[name] = given.get(name)
            if values.get(name) is not None:  # an output may learn nothing
                array = _weights(values[name], self._by_output.get(name), self._heads[name])
                weights[name] = _product(array, weights[name])
        if isinstance(y, list | tuple):
            return type(y)(weights.values())
        return {name: value for name, value in weights.items() if value is not None}


def _named(given: Any, names: list[str]) -> dict[str, Any]:
    if isinstance(given, list | tuple) and len(given) == len(names) and not any(map(np.isscalar, given)):
        given = {name: weights for name, weights in zip(names, given, strict=True) if weights is not None}
    if not isinstance(given, Mapping) or not given or not set(given) <= set(names):
        raise ValueError(
            f"class_weight={given!r:.100} does not say which output it is about: the model has {', '.join(names)}. Name"
            f" it: class_weight={{{names[0]!r}: {{0: 1.0, 1: 2.0}}}}"
        )
    return dict(given)


def _table(given: Any) -> dict[int, float]:
    """Return {class: weight}."""
    if isinstance(given, str):
        raise TypeError(
            f"class_weight={given!r} is a name; compute the weights: {{class: rows / (classes * rows of the class)}}"
        )
    if not isinstance(given, Mapping):
        array = np.asarray(given)
        if array.ndim != 1 or array.dtype.kind not in "iuf":
            raise TypeError(
                f"class_weight is a dict {{class: weight}} or a list of weights by class, not {given!r:.100}"
            )
        given = dict(enumerate(array.tolist()))
    table = {}
    for label, weight in given.items():
        if isinstance(label, str) or not float(label).is_integer():
            raise ValueError(f"class_weight has the class {label!r}, but classes are whole numbers, as the labels are")
        if isinstance(weight, str) or np.ndim(weight) or not math.isfinite(weight):
            raise ValueError(f"class_weight has the weight {weight!r} for class {label}, which is no number")
        table[int(label)] = float(weight)
    return table


def _weights(y: Any, table: dict[int, float] | None, head: Head | None) -> np.ndarray:
    """Return a weight for each label, (B,) or (B, T); ones where there is no table."""
    values = keras.ops.convert_to_numpy(y)
    if table is None:
        return np.ones(len(values), keras.config.floatx())  # rows alone: the labels need be no classes
    classes = _classes(values, head)
    if classes.ndim > 1 and isinstance(head, LayerHead):
        raise ValueError(
            f"class_weight cannot be honoured for output {head.name!r}: {head.loss} is one number for a whole sequence."
            " Leave class_weight out, or weigh sequences by sample_weight"
        )
    found, places = np.unique(classes, return_inverse=True)
    weights = np.array([table.get(int(label), 1.0) for label in found], keras.config.floatx())
    return weights[places].reshape(classes.shape)


def _classes(y: np.ndarray, head: Head | None) -> np.ndarray:
    """Return the class of each label."""
    name = f"output {head.name!r}" if head is not None else "the targets"
    if y.ndim > 1 and y.shape[-1] == 1:
        y = y[..., 0]
    elif y.ndim > 1 and (head is None or y.ndim == len(head.shape)):
        # Smoothed labels have a class too.
        if y.size and (y.min() < 0 or not np.allclose(y.sum(-1), 1, atol=1e-3) or not (y.max(-1) > 0.5).all()):
            raise ValueError(
                f"class_weight cannot be honoured for {name}: its labels of shape {y.shape} are not one class each."
                " Give sample_weight, or weigh the classes in a loss of your own"
            )
        return y.argmax(-1)
    if not (y % 1 == 0).all():
        raise ValueError(f"class_weight cannot be honoured for {name}: its labels are no classes, but other numbers")
    return y.astype("int64")


def _product(weights: np.ndarray, given: Any) -> np.ndarray:
    """Return the product of weights (B,) or (B, T) with others."""
    if given is None:
        return weights
    given = keras.ops.convert_to_numpy(given)
    if given.ndim > 1 and given.shape[-1] == 1 and weights.ndim < given.ndim:
        given = given[..., 0]
    rank = max(weights.ndim, given.ndim)
    return np.multiply(*(array.reshape(array.shape + (1,) * (rank - array.ndim)) for array in (weights, given)))
