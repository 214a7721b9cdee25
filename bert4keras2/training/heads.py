"""What the outputs of a model learn, and which labels their losses take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from bert4keras2.functional import keras_private
from bert4keras2.layers.global_pointer import EfficientGlobalPointer, GlobalPointer
from bert4keras2.training.layer_methods import LayerMethod

__all__ = ["GroupHead", "Head", "head_of"]

SPARSE = ("sparsecategoricalcrossentropy",)
BINARY = ("binarycrossentropy", "bce", "binaryfocalcrossentropy")
CATEGORICAL = ("categoricalcrossentropy", "categoricalfocalcrossentropy")


@dataclass
class Head:
    """One output that learns something.

    Args:
        name: of the output.
        shape: (batch, ...) of what it gives.
        mask: the symbolic mask of that, or None.
        loss: the name of Keras' loss, "" for one of the script's own.
        layer: of a loss that is a layer's method, or of spans, the layer; of groups of rows, the loss.
        ignored: the label that a sparse loss skips.
    """

    name: str
    shape: tuple[int | None, ...]
    mask: Any = None
    loss: str = ""
    layer: Any = None
    ignored: int | None = None
    sparse = False  # whether labels are class numbers

    def form(self, y: np.ndarray) -> np.ndarray:
        """Return labels as the loss looks at them: a column of classes as flat ones."""
        return y[..., 0] if self.sparse and y.ndim == len(self.shape) and y.shape[-1] == 1 else y

    def shape_problem(self, y: np.ndarray) -> str | None:
        """Return what is wrong with the shape of labels, if anything is."""
        return None

    def suspicious(self, y: np.ndarray) -> bool:
        """Return whether some label may be wrong, in few passes over the labels."""
        if y.dtype.kind != "f" or y.size == 0:
            return False
        with np.errstate(over="ignore", invalid="ignore"):
            return not np.isfinite(y.sum(dtype="float64" if y.size < 2**16 else None))

    def wrong(self, y: np.ndarray) -> np.ndarray:
        """Return which labels are none that the loss takes."""
        return ~np.isfinite(y)

    def problem(self, y: np.ndarray, wrong: np.ndarray) -> str | None:
        """Return what to say of labels of which some are wrong."""
        where = _first(wrong)
        return (
            f"Output {self.name!r} got {_label(y, where)}, which is no number to learn from: is a value missing in the"
            " data?"
        )

    @property
    def own(self) -> bool:
        """Whether the loss is the script's own, which may know what to do with any number."""
        return not self.loss and self.layer is None


class ClassHead(Head):
    """One that learns class numbers."""

    sparse = True

    def suspicious(self, y: np.ndarray) -> bool:
        fractional = y.dtype.kind == "f" and bool(_parts_of_one(y).any())
        return y.size > 0 and not (y.min() >= 0 and y.max() < self.shape[-1] and not fractional)

    def wrong(self, y: np.ndarray) -> np.ndarray:
        wrong = ~((y >= 0) & (y < self.shape[-1]))
        return wrong | (_parts_of_one(y) != 0) if y.dtype.kind == "f" else wrong


class SparseHead(ClassHead):
    """One that learns class numbers by Keras' sparse cross entropy."""

    def shape_problem(self, y: np.ndarray) -> str | None:
        if y.ndim == len(self.shape) - 1:
            return None
        return (
            f"Output {self.name!r} got labels of shape {y.shape} for scores of shape {self.shape}. Expected "
            f"integers of shape {self.shape[:-1]}; one-hot labels take the loss categorical_crossentropy"
        )

    def wrong(self, y: np.ndarray) -> np.ndarray:
        wrong = super().wrong(y)
        return wrong if self.ignored is None else wrong & (y != self.ignored)

    def problem(self, y: np.ndarray, wrong: np.ndarray) -> str | None:
        where, classes = _first(wrong), self.shape[-1]
        label = _label(y, where)
        if _parts_of_one(y[where]) != 0:
            return f"Output {self.name!r} got {label}, but labels are whole numbers: 0 to {classes - 1}"
        hint = "Is the last Dense layer as wide as the label set?"
        if y.size > 1 and y.min() >= 1 and y.max() == classes:
            hint = "Do the labels count from 1? Subtract 1, or make the last Dense layer one wider."
        return (
            f"Output {self.name!r} got {label}, but the loss sparse_categorical_crossentropy has scores for {classes}"
            f" classes: 0 to {classes - 1}. {hint} Labels that do not count:"
            " keras.losses.SparseCategoricalCrossentropy(ignore_class=...)"
        )


class LayerHead(ClassHead):
    """One that learns class numbers by a loss of its layer."""

    def shape_problem(self, y: np.ndarray) -> str | None:
        if y.ndim == len(self.shape) - 1:
            return None
        try:
            self.layer.check_labels(y)
        except ValueError as error:
            return str(error)
        return None

    def problem(self, y: np.ndarray, wrong: np.ndarray) -> str | None:
        try:
            self.layer.check_labels(y, wrong)
        except ValueError as error:
            return str(error)
        return None


class BinaryHead(Head):
    """One that learns numbers from 0 to 1."""

    def suspicious(self, y: np.ndarray) -> bool:
        return y.size > 0 and y.dtype.kind != "b" and not (y.min() >= 0 and y.max() <= 1)

    def wrong(self, y: np.ndarray) -> np.ndarray:
        return ~((y >= 0) & (y <= 1))

    def problem(self, y: np.ndarray, wrong: np.ndarray) -> str | None:
        where = _first(wrong)
        return (
            f"Output {self.name!r} got {_label(y, where)}, but the loss {self.loss} takes numbers from 0 to 1. Two"
            " classes are labelled 0 and 1; more take the loss sparse_categorical_crossentropy"
        )


class CategoricalHead(Head):
    """One that learns distributions over classes."""

    def shape_problem(self, y: np.ndarray) -> str | None:
        if y.ndim == len(self.shape) and y.shape[-1] == self.shape[-1]:
            return None
        return (
            f"Output {self.name!r} got labels of shape {y.shape} for scores of shape {self.shape}. The loss {self.loss}"
            f" takes one-hot labels of shape {self.shape}; class numbers take the loss sparse_categorical_crossentropy"
        )

    def suspicious(self, y: np.ndarray) -> bool:
        return y.size > 0 and y.dtype.kind != "b" and not (y.min() >= 0 and y.max() < np.inf)

    def wrong(self, y: np.ndarray) -> np.ndarray:
        return ~((y >= 0) & (y < np.inf))

    def problem(self, y: np.ndarray, wrong: np.ndarray) -> str | None:
        return f"Output {self.name!r} got {_label(y, _first(wrong))}, but one-hot labels are 0 and 1"


class GroupHead(Head):
    """One that learns from rows which belong together."""

    def shape_problem(self, y: np.ndarray) -> str | None:
        problem = self.layer.group_problem(y)
        return problem and f"Output {self.name!r}: {problem}"


class SpanHead(Head):
    """One of a pointer layer, whose scores (B, H, T, T) of spans that end before they start are -inf."""

    def _pairs(self, y: np.ndarray) -> bool:
        """Whether labels are (start, end) pairs (B, H, K, 2), not one number for each span (B, H, T, T)."""
        return y.ndim == 4 and y.shape[-1] == 2 and y.shape[-2] != 2 and y.dtype.kind in "iu"

    def suspicious(self, y: np.ndarray) -> bool:
        if self._pairs(y):
            return bool((y[..., 0] > y[..., 1]).any() or (y.size and y.min() < 0))
        if y.ndim != 4 or y.shape[-1] != y.shape[-2]:
            return super().suspicious(y)
        starts, ends, values = _nonzero(y)
        return bool((starts > ends).any()) or not np.isfinite(values).all()

    def wrong(self, y: np.ndarray) -> np.ndarray:
        if self._pairs(y):
            return (y[..., 0] > y[..., 1]) | (y < 0).any(-1)
        wrong = ~np.isfinite(y)
        if y.ndim == 4 and y.shape[-1] == y.shape[-2]:
            wrong |= np.tri(y.shape[-1], k=-1, dtype=bool) & (y != 0)
        return wrong

    def problem(self, y: np.ndarray, wrong: np.ndarray) -> str | None:
        where = _first(wrong)
        if not self._pairs(y) and not np.isfinite(y[where]):
            return super().problem(y, wrong)
        start, end = (int(i) for i in (y[where] if self._pairs(y) else where[2:]))
        return (
            f"Output {self.name!r} got a label for the span from {start} to {end} (row {where[0]}, type {where[1]}),"
            f" but spans of layer {self.layer.name!r} end at their last token, not before they start. Labels are"
            " y[row, type, start, end] = 1 with the end included: is the data half-open, or are start and end swapped?"
        )


def head_of(name: str, tensor: Any, loss: Any) -> Head:
    """Return what an output's loss says of its labels.

    Args:
        name: of the output.
        tensor: the symbolic output.
        loss: what the model was compiled with for it, None for nothing.
    """
    shape, mask = tuple(tensor.shape), keras_private.mask_of(tensor)
    if isinstance(loss, LayerMethod):
        return _layer_head(name, shape, tensor, loss)
    if hasattr(loss, "group_problem"):
        return GroupHead(name, shape, mask, loss.name, loss)
    known, layer = _keras_name(loss), keras_private.maker(tensor)
    if isinstance(layer, GlobalPointer | EfficientGlobalPointer) and layer.tril_mask:
        return SpanHead(name, shape, mask, known, layer)
    kind = known.replace("_", "").lower()
    numbered = len(shape) > 1 and shape[-1] is not None and getattr(loss, "axis", -1) in (-1, len(shape) - 1)
    if kind in SPARSE and numbered:
        return SparseHead(name, shape, mask, known, ignored=getattr(loss, "ignore_class", None))
    if kind in BINARY:
        return BinaryHead(name, shape, mask, known)
    if kind in CATEGORICAL and numbered:
        return CategoricalHead(name, shape, mask, known)
    return Head(name, shape, mask, known)


def _layer_head(name: str, shape: tuple[int | None, ...], tensor: Any, loss: LayerMethod) -> Head:
    # The layer takes its input's mask into the scores, and passes none on.
    calls = [call for call in keras_private.calls_of(loss.layer) if any(out is tensor for out in call.outputs)]
    if not calls or loss.method_name not in getattr(loss.layer, "sparse_losses", ()):
        return Head(name, shape, keras_private.mask_of(tensor), loss.method_name, loss.layer)
    given = calls[0].kwargs.get("mask")
    mask = given if given is not None else keras_private.mask_of(calls[0].inputs[0])
    return LayerHead(name, shape, mask, loss.method_name, loss.layer)


def _keras_name(loss: Any) -> str:
    """Return the name of a loss of Keras', "" for one of the script's own."""
    if isinstance(loss, str):
        return loss
    owner = type(loss) if isinstance(loss, keras.losses.Loss) else loss
    if str(getattr(owner, "__module__", "")).partition(".")[0] != "keras":
        return ""
    return getattr(owner, "__name__", "")


# -- labels ----------------------------------------------------------------------------------------------------------


def _parts_of_one(y: np.ndarray) -> np.ndarray:
    """Return what numbers are beside whole ones, NaN of infinite ones."""
    with np.errstate(invalid="ignore"):
        return y % 1


def _first(wrong: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(wrong)[0])


def _label(y: np.ndarray, where: tuple[int, ...]) -> str:
    return f"label {y[where]:g} at {where} (row {where[0]})"


def _nonzero(y: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return (rows, columns, values) of what is not 0 in the matrices of labels (..., T, T), which is little."""
    lines = y.reshape(-1, y.shape[-1])
    with np.errstate(all="ignore"):
        filled = np.flatnonzero(np.einsum("ij,ij->i", lines, lines))  # faster than all that compares with 0
    found, columns = np.nonzero(lines[filled])
    rows = filled[found]
    return rows % y.shape[-2], columns, lines[rows, columns]
