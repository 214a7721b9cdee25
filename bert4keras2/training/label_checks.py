"""Checks of what a model is to learn: integer labels within the classes that their loss scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from bert4keras2.functional import keras_private
from bert4keras2.training.layer_methods import LayerMethod

__all__ = ["LabelLimits"]

# Rows whose mask is computed at once, where labels out of range may be padding.
MASKED_ROWS = 4096


@dataclass
class _Head:
    """One output that learns integer labels.

    Args:
        name: of the output.
        shape: (batch, ..., classes) of its scores.
        mask: the symbolic mask of the scores, or None.
        layer: the layer whose loss it is, one with `check_labels`; None for Keras' cross entropy.
        ignored: the label that Keras' cross entropy skips.
    """

    name: str
    shape: tuple[int | None, ...]
    mask: Any
    layer: Any = None
    ignored: int | None = None

    def problem(self, y: np.ndarray, visible: Any = None) -> str | None:
        """Return what is wrong with labels (B, ...) where `visible` is true, if anything is."""
        if self.layer is not None:
            try:
                self.layer.check_labels(y, visible)
            except ValueError as error:
                return str(error)
            return None
        loss, classes = "sparse_categorical_crossentropy", self.shape[-1]
        if y.ndim != len(self.shape) - 1:
            return (
                f"Output {self.name!r} got labels of shape {y.shape} for scores of shape {self.shape}. Expected "
                f"integers of shape {self.shape[:-1]}; one-hot labels take the loss categorical_crossentropy"
            )
        wrong = self.wrong(y)
        if visible is not None:
            wrong &= visible
        if not wrong.any():
            return None
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        return (
            f"Output {self.name!r} got label {y[where]:g} at {where} (row {where[0]}), but the loss {loss} has scores "
            f"for {classes} classes: 0 to {classes - 1}. Is the last Dense layer as wide as the label set? Labels that "
            f"do not count: keras.losses.SparseCategoricalCrossentropy(ignore_class=...)"
        )

    def wrong(self, y: np.ndarray) -> np.ndarray:
        """Return which labels are out of range."""
        wrong = (y < 0) | (y >= self.shape[-1])
        return wrong if self.ignored is None else wrong & (y != self.ignored)


class LabelLimits:
    """The labels that a compiled functional model can learn, by the losses of layers and Keras' sparse cross entropy.

    Labels are looked at on the host, as far as they are NumPy arrays. What the mask of the scores hides, or a sample
    weight of 0, may hold any label, as the losses do not count it.

    Args:
        model: a compiled model; one without symbolic outputs has no limits.

    Attributes:
        error: the last error raised, which TensorFlow wraps into one of its own if its reader thread meets it.
    """

    def __init__(self, model: Any):
        self.error: ValueError | None = None
        self.inputs = keras.tree.flatten(getattr(model, "inputs", None) or [])
        outputs = keras.tree.flatten(getattr(model, "outputs", None) or [])
        self.names = list(getattr(model, "output_names", None) or [])
        losses = _by_output(getattr(model, "loss", None), self.names)
        pairs = zip(self.names, outputs, strict=False)
        heads = [_head(name, tensor, losses.get(name)) for name, tensor in pairs]
        self.heads = [head for head in heads if head is not None]
        self._masks: dict[str, Any] = {}

    def check(self, x: Any, y: Any = None, weights: Any = None) -> None:
        """Raise a ValueError if labels `y` do not fit their losses; names the label, its row and what was expected.

        Args:
            x: inputs, as for `fit`.
            y: targets: one array, a list or a dict by the names of the outputs; others are left alone.
            weights: sample weights likewise.
        """
        if y is None or not self.heads:
            return
        labels, weighted = _by_output(y, self.names), _by_output(weights, self.names)
        for head in self.heads:
            found = labels.get(head.name)
            if isinstance(found, np.ndarray) and found.size and found.dtype.kind in "iufb":
                self._check(head, x, found, weighted.get(head.name))

    def _check(self, head: _Head, x: Any, y: np.ndarray, weights: Any) -> None:
        if y.ndim == len(head.shape) and y.shape[-1] == 1:
            y = y[..., 0]
        if y.ndim != len(head.shape) - 1:
            message = head.problem(y)
        elif head.wrong(y).any():  # the mask matters to labels that have something to hide
            message = head.problem(y, self._visible(head, x, y, weights))
        else:
            return
        if message:
            self.error = ValueError(message)
            raise self.error

    def _visible(self, head: _Head, x: Any, y: np.ndarray, weights: Any) -> np.ndarray:
        """Return which labels (B, ...) count; in rows that have no wrong one, all."""
        visible = np.ones(y.shape, "bool")
        if isinstance(weights, np.ndarray) and 0 < weights.ndim <= y.ndim:
            visible &= (weights != 0).reshape(weights.shape + (1,) * (y.ndim - weights.ndim))
        if head.mask is not None:
            rows = np.flatnonzero(head.wrong(y).reshape(len(y), -1).any(axis=1))
            for start in range(0, len(rows), MASKED_ROWS):
                part = rows[start : start + MASKED_ROWS]
                mask = self._mask(head, x, part)
                visible[part] &= mask if np.shape(mask) in ((), y[part].shape) else False
        return visible

    def _mask(self, head: _Head, x: Any, rows: np.ndarray) -> Any:
        """Return the mask of some rows; False, leaving the labels to the loss, if it cannot be had."""
        names = [keras_private.maker(tensor).name for tensor in self.inputs]
        if isinstance(x, dict):
            x = [x.get(name) for name in names]
        arrays = list(x) if isinstance(x, list | tuple) else [x]
        if len(arrays) != len(names) or not all(isinstance(array, np.ndarray) for array in arrays):
            return False
        try:
            if head.name not in self._masks:
                self._masks[head.name] = keras.Function(self.inputs, head.mask)
            tensors = [
                keras.ops.cast(array[rows], tensor.dtype) for array, tensor in zip(arrays, self.inputs, strict=True)
            ]
            return keras.ops.convert_to_numpy(self._masks[head.name](tensors)).astype(bool)
        except Exception:  # a graph of the user's own: better a loss that is not checked than a fit that stops
            return False


def _by_output(value: Any, names: list[str]) -> dict[str, Any]:
    """Return what belongs to each output: of one value, a list in their order, or a dict by their names."""
    if isinstance(value, dict):
        return value
    values = value if isinstance(value, list | tuple) else [value]
    return dict(zip(names, values, strict=True)) if len(values) == len(names) else {}


def _head(name: str, tensor: Any, loss: Any) -> _Head | None:
    """Return what an output's loss says of its labels, None where they may be anything."""
    shape = tuple(tensor.shape)
    if isinstance(loss, LayerMethod):
        if loss.method_name not in getattr(loss.layer, "sparse_losses", ()):
            return None
        # The layer takes its input's mask into the scores, and passes none on.
        calls = [call for call in keras_private.calls_of(loss.layer) if any(out is tensor for out in call.outputs)]
        if not calls:
            return None
        given = calls[0].kwargs.get("mask")
        mask = given if given is not None else keras_private.mask_of(calls[0].inputs[0])
        return _Head(name, shape, mask, layer=loss.layer)
    kind = keras.losses.SparseCategoricalCrossentropy
    known = ("sparse_categorical_crossentropy", "SparseCategoricalCrossentropy")
    if not (loss in known if isinstance(loss, str) else isinstance(loss, kind) or loss is _FUNCTION):
        return None
    if shape[-1] is None or len(shape) < 2 or getattr(loss, "axis", -1) not in (-1, len(shape) - 1):
        return None
    return _Head(name, shape, keras_private.mask_of(tensor), ignored=getattr(loss, "ignore_class", None))


_FUNCTION = keras.losses.sparse_categorical_crossentropy
