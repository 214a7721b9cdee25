"""Checks of what a model is to learn: labels that its losses take."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from bert4keras2.functional import keras_private
from bert4keras2.training.arrays import on_host, output_places
from bert4keras2.training.heads import GroupHead, Head, LayerHead, SpanHead, SparseHead, head_of

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

    def checked(self, x: Any, y: Any = None, weights: Any = None) -> Any:
        """Return labels that fit their losses: `y`, with class 0 for those that do not fit and do not count either.

        Args:
            x: inputs, as for `fit`.
            y: targets: one array, a list or a dict by the names of the outputs; others are left alone.
            weights: sample weights likewise.

        Raises:
            ValueError: names the label, its row and what was expected.
        """
        if y is None:
            return None
        weighted = by_output(weights, self.names)

        def check(head: Head, labels: Any) -> Any:
            found, weight = on_host(labels), on_host(weighted.get(head.name))
            if weight is not None and weight.dtype.kind == "f" and not np.isfinite(weight).all():
                where = tuple(int(i) for i in np.argwhere(~np.isfinite(weight))[0])
                raise ValueError(f"Output {head.name!r} got the sample weight {weight[where]:g} at {where}")
            if found is None or not found.size or found.dtype.kind not in "iufb":
                return labels
            hidden = self._check(head, x, found, weight)
            return labels if hidden is None else np.where(hidden, np.zeros((), found.dtype), found)

        return self._for_each(check, y)

    def check_order(self, shuffled: bool, batch_size: int) -> None:
        """Raise a ValueError if rows of arrays belong together, and batches would part them."""
        for head in self.heads:
            if isinstance(head, GroupHead) and (shuffled or batch_size % head.layer.size):
                raise ValueError(
                    f"{head.layer.name} learns from groups of {head.layer.size} rows that follow one another: pass"
                    f" shuffle=False and a batch_size that is a multiple of {head.layer.size}, or batches of whole"
                    " groups, as bert4keras2.embeddings.GroupRows makes them"
                )

    def with_token_axes(self, weights: Any, y: Any) -> Any:
        """Return sample weights with a weight for each token where Keras multiplies those of rows by a mask (B, T)."""
        labels = by_output(y, self.names)
        return self._for_each(lambda head, value: _with_token_axis(head, value, labels.get(head.name)), weights)

    def _for_each(self, function: Callable[[Head, Any], Any], values: Any) -> Any:
        """Return labels or weights with `function(head, value)` for each output's."""
        if isinstance(values, dict):
            heads = {head.name: head for head in self.heads}
            return {k: function(heads[k], value) if k in heads else value for k, value in values.items()}
        if isinstance(values, list | tuple) and len(values) == len(self.heads):
            return type(values)(map(function, self.heads, values))
        return function(self.heads[0], values) if len(self.heads) == 1 else values

    def _check(self, head: Head, x: Any, labels: np.ndarray, weights: np.ndarray | None) -> np.ndarray | None:
        """Raise an error for a wrong label that counts; return where others are, which the loss would trip over."""
        y = head.form(labels)
        if message := head.shape_problem(y):
            raise ValueError(message)
        if not head.suspicious(y):  # the mask matters to labels that have something to hide
            return None
        found = wrong = head.wrong(y)
        if not isinstance(head, SpanHead):
            visible = self._visible(head, x, wrong, weights)
            if visible is None:
                return None  # better a loss that is not checked than a fit that stops
            # Losses of other kinds multiply what is hidden by 0, which leaves NaN what it is.
            wrong = found & (visible if head.sparse else visible | ~np.isfinite(y))
        if not wrong.any():
            return found.reshape(labels.shape) if isinstance(head, SparseHead) and found.any() else None
        message = head.problem(y, wrong)
        if head.own and not isinstance(head, SpanHead):
            if head.name not in self._warned:
                self._warned.add(head.name)
                warnings.warn(f"{message} Its loss is the script's own, so training goes on", stacklevel=2)
        elif message:
            raise ValueError(message)
        return None

    def _visible(self, head: Head, x: Any, wrong: np.ndarray, weights: np.ndarray | None) -> np.ndarray | None:
        """Return which labels (B, ...) count; in rows that have no wrong one, all. None if the mask cannot be had."""
        visible = np.ones(wrong.shape, "bool")
        counted = None if weights is None else _spread(weights != 0, wrong)
        if counted is not None:
            visible &= counted
        if head.mask is not None:
            rows = np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))
            for start in range(0, len(rows), MASKED_ROWS):
                part = rows[start : start + MASKED_ROWS]
                mask = self._mask(head, x, part)
                mask = None if mask is None else _spread(mask, wrong[part])
                if mask is None:
                    return None
                visible[part] &= mask
        return visible

    def _mask(self, head: Head, x: Any, rows: np.ndarray) -> np.ndarray | None:
        """Return the mask of some rows, None if it cannot be had."""
        names = [keras_private.maker(tensor).name for tensor in self.inputs]
        if isinstance(x, dict):
            x = [x.get(name) for name in names]
        arrays = [on_host(part) for part in (x if isinstance(x, list | tuple) else [x])]
        if len(arrays) != len(names) or any(array is None for array in arrays):
            return None
        try:
            if head.name not in self._masks:
                self._masks[head.name] = keras.Function(self.inputs, head.mask)
            tensors = [
                keras.ops.cast(array[rows], tensor.dtype) for array, tensor in zip(arrays, self.inputs, strict=True)
            ]
            return keras.ops.convert_to_numpy(self._masks[head.name](tensors)).astype(bool)
        except Exception:  # a graph of the user's own
            return None


def _with_token_axis(head: Head, weights: Any, labels: Any) -> Any:
    multiplied = not isinstance(head, LayerHead) and head.mask is not None and len(head.mask.shape) > 1
    if not multiplied or len(getattr(weights, "shape", ())) != 1 or len(getattr(labels, "shape", ())) < 2:
        return weights
    ones = np.ones if isinstance(weights, np.ndarray) else keras.ops.ones
    return weights[:, None] * ones((1, labels.shape[1]), weights.dtype)


def _spread(mask: np.ndarray, like: np.ndarray) -> np.ndarray | None:
    """Return a mask (B, ...) over more axes, None if it is not of the same rows and places."""
    if mask.ndim == 0:
        return None
    if mask.ndim > like.ndim:
        mask = mask.reshape(mask.shape[: like.ndim]) if mask.size == np.prod(mask.shape[: like.ndim]) else mask
    if mask.shape != like.shape[: mask.ndim]:
        return None
    return mask.reshape(mask.shape + (1,) * (like.ndim - mask.ndim))


def by_output(value: Any, names: list[str]) -> dict[str, Any]:
    """Return what belongs to each output: of one value, a list in their order, or a dict by their names."""
    if isinstance(value, dict):
        return value
    values = value if isinstance(value, list | tuple) else [value]
    return dict(zip(names, values, strict=True)) if len(values) == len(names) else {}
