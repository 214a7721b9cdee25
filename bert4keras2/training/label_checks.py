"""Checks of what a model is to learn: labels that its losses take."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np

from bert4keras2.functional import keras_private
from bert4keras2.training.arrays import on_host, output_places
from bert4keras2.training.heads import Head, LayerHead, SpanHead, head_of

__all__ = ["LabelLimits", "by_output"]

# Rows whose mask is computed at once, where labels out of range may be padding.
MASKED_ROWS = 4096


class LabelLimits:
    """The labels that a compiled functional model can learn, by the losses of layers and of Keras.

    Labels are looked at on the host, as far as they are there. What the mask of the scores hides, or a sample weight of
    0, may hold any label, as the losses do not count it.

    Args:
        model: a compiled model; one without symbolic outputs has no limits.

    Attributes:
        names: of the outputs.
        heads: what they learn, in the same order.
        places: where their labels go, in the same order.
    """

    def __init__(self, model: Any):
        self.inputs = keras.tree.flatten(getattr(model, "inputs", None) or [])
        outputs = keras.tree.flatten(getattr(model, "outputs", None) or [])
        self.names = list(getattr(model, "output_names", None) or [])
        losses = by_output(getattr(model, "loss", None), self.names)
        pairs = zip(self.names, outputs, strict=False)
        self.heads = [head_of(name, tensor, losses.get(name)) for name, tensor in pairs]
        self.places = output_places(model, {head.name for head in self.heads if head.mask is not None})
        self._masks: dict[str, Any] = {}
        self._warned: set[str] = set()

    def check(self, x: Any, y: Any = None, weights: Any = None) -> None:
        """Raise a ValueError if labels `y` do not fit their losses; names the label, its row and what was expected.

        Args:
            x: inputs, as for `fit`.
            y: targets: one array, a list or a dict by the names of the outputs; others are left alone.
            weights: sample weights likewise.
        """
        if y is None:
            return
        labels, weighted = by_output(y, self.names), by_output(weights, self.names)
        for head in self.heads:
            found, weight = on_host(labels.get(head.name)), on_host(weighted.get(head.name))
            if weight is not None and weight.dtype.kind == "f" and not np.isfinite(weight).all():
                where = tuple(int(i) for i in np.argwhere(~np.isfinite(weight))[0])
                raise ValueError(f"Output {head.name!r} got the sample weight {weight[where]:g} at {where}")
            if found is not None and found.size and found.dtype.kind in "iufb":
                self._check(head, x, found, weight)

    def with_token_axes(self, weights: Any) -> Any:
        """Return sample weights with an axis of 1 for tokens where Keras multiplies rows' weights by a mask (B, T)."""
        if isinstance(weights, list | tuple) and len(weights) == len(self.heads):
            return type(weights)(map(_with_token_axis, self.heads, weights))
        if isinstance(weights, dict):
            heads = {head.name: head for head in self.heads}
            return {name: _with_token_axis(heads.get(name), value) for name, value in weights.items()}
        return _with_token_axis(self.heads[0], weights) if len(self.heads) == 1 else weights

    def _check(self, head: Head, x: Any, y: np.ndarray, weights: np.ndarray | None) -> None:
        y = head.form(y)
        if message := head.shape_problem(y):
            raise ValueError(message)
        if not head.suspicious(y):  # the mask matters to labels that have something to hide
            return
        wrong = head.wrong(y)
        if not isinstance(head, SpanHead):
            hidden = ~self._visible(head, x, wrong, weights)
            # Losses of other kinds multiply what is hidden by 0, which leaves NaN what it is.
            wrong &= ~hidden if head.sparse else ~hidden | ~np.isfinite(y)
        if not wrong.any():
            return
        message = head.problem(y, wrong)
        if head.own and not isinstance(head, SpanHead):
            if head.name not in self._warned:
                self._warned.add(head.name)
                warnings.warn(f"{message} Its loss is the script's own, so training goes on", stacklevel=2)
        elif message:
            raise ValueError(message)

    def _visible(self, head: Head, x: Any, wrong: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
        """Return which labels (B, ...) count; in rows that have no wrong one, all."""
        visible = np.ones(wrong.shape, "bool")
        if weights is not None and 0 < weights.ndim <= wrong.ndim:
            visible &= _spread(weights != 0, wrong)
        if head.mask is not None:
            rows = np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))
            for start in range(0, len(rows), MASKED_ROWS):
                part = rows[start : start + MASKED_ROWS]
                visible[part] &= _spread(self._mask(head, x, part), wrong[part])
        return visible

    def _mask(self, head: Head, x: Any, rows: np.ndarray) -> Any:
        """Return the mask of some rows; False, leaving the labels to the loss, if it cannot be had."""
        names = [keras_private.maker(tensor).name for tensor in self.inputs]
        if isinstance(x, dict):
            x = [x.get(name) for name in names]
        arrays = [on_host(part) for part in (x if isinstance(x, list | tuple) else [x])]
        if len(arrays) != len(names) or any(array is None for array in arrays):
            return np.False_
        try:
            if head.name not in self._masks:
                self._masks[head.name] = keras.Function(self.inputs, head.mask)
            tensors = [
                keras.ops.cast(array[rows], tensor.dtype) for array, tensor in zip(arrays, self.inputs, strict=True)
            ]
            return keras.ops.convert_to_numpy(self._masks[head.name](tensors)).astype(bool)
        except Exception:  # a graph of the user's own: better a loss that is not checked than a fit that stops
            return np.False_


def _with_token_axis(head: Head | None, weights: Any) -> Any:
    multiplied = head is not None and not isinstance(head, LayerHead) and head.mask is not None
    if multiplied and len(head.mask.shape) > 1 and len(getattr(weights, "shape", ())) == 1:
        return weights[:, None]
    return weights


def _spread(mask: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Return a mask (B, ...) over more axes; False if it is not of the same rows and places."""
    if mask.ndim == 0:
        return mask
    if mask.ndim > like.ndim:
        mask = mask.reshape(mask.shape[: like.ndim]) if mask.size == np.prod(mask.shape[: like.ndim]) else mask
    if mask.shape != like.shape[: mask.ndim]:
        return np.False_
    return mask.reshape(mask.shape + (1,) * (like.ndim - mask.ndim))


def by_output(value: Any, names: list[str]) -> dict[str, Any]:
    """Return what belongs to each output: of one value, a list in their order, or a dict by their names."""
    if isinstance(value, dict):
        return value
    values = value if isinstance(value, list | tuple) else [value]
    return dict(zip(names, values, strict=True)) if len(values) == len(names) else {}
