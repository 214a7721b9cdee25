"""Integrated gradients: how much each token of a text adds to what a classifier says."""

from __future__ import annotations

import os
import weakref
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from bert4keras2.arguments import whole_number
from bert4keras2.functional import keras_private
from bert4keras2.pictures.canvas import finished, new_figure
from bert4keras2.pictures.markup import Markup, weighted_html
from bert4keras2.tasks import TextClassifier
from bert4keras2.tasks.texts.offsets import TokenOffsets
from bert4keras2.training.gradients import value_and_gradients

__all__ = ["Attribution", "TokenWeight", "token_attribution"]


TOLERANCE = 0.005
MOST_STEPS = 512


class TokenWeight(NamedTuple):
    """A token and what it adds.

    Attributes:
        start: its first character in the text.
        end: the character behind its last one.
        text: what stands there.
        weight: what it adds to the score; negative if it speaks against the label.
    """

    start: int
    end: int
    text: str
    weight: float


@dataclass(frozen=True)
class Attribution:
    """What the tokens of a text add to the score of a label.

    Attributes:
        text: the text.
        label: the label whose score is explained.
        tokens: `TokenWeight` of each token, in their order.
        score: the label's score for the text: a probability, or the number itself.
        baseline: the score without any of the tokens; the weights sum up to what `score` is above it.
    """

    text: str
    label: str
    tokens: list[TokenWeight] = field(repr=False)
    score: float
    baseline: float

    def html(self) -> Markup:
        """Return the text coloured: red speaks for the label, blue against it."""
        caption = f"{self.label}: {self.score:.3f} (without the text's words: {self.baseline:.3f})"
        return weighted_html(self.text, [(token.start, token.end, token.weight) for token in self.tokens], caption)

    def _repr_html_(self) -> str:
        return self.html()

    def figure(self, path: str | os.PathLike | None = None) -> Any:
        """Draw a bar for each token.

        Args:
            path: the file to write (.png, .svg, .pdf, .jpg), if any.

        Raises:
            ImportError: without matplotlib.
        """
        figure = new_figure(min(2.0 + 0.32 * len(self.tokens), 16.0), 2.8)
        axes = figure.subplots()
        weights = [token.weight for token in self.tokens]
        axes.bar(range(len(weights)), weights, color=["#d64541" if weight > 0 else "#3478c6" for weight in weights])
        axes.set_xticks(range(len(weights)), [token.text for token in self.tokens])
        axes.axhline(0, color="black", linewidth=0.6)
        axes.set(title=f"{self.label}: {self.score:.3f}", ylabel="adds to the score")
        return finished(figure, path)


def token_attribution(task: TextClassifier, text: str, label: str | None = None, steps: int = 32) -> Attribution:
    """Tell how much each token of a text adds to the score of a label, by integrated gradients (arXiv:1703.01365).

    The embeddings of the tokens go in a straight line from that of the mask (of padding, where there is no mask) to
    their own; the weight of a token is its way times the mean gradient along the line. The special tokens stay as
    they are.

        token_attribution(task, "这家店的火锅很好吃").html().save("why.html")

    Args:
        task: a `TextClassifier` of single texts, after training.
        text: the text.
        label: whose score is explained; the one that the task gives if None.
        steps: points on the line, those of Gauss and Legendre; twice as many are taken until the weights add up to the
            difference of the two scores within 0.005, or there are 512.

    Raises:
        TypeError: for something else than a classifier.
        ValueError: for pairs, an unknown label or an empty text.
    """
    if not isinstance(task, TextClassifier):
        raise TypeError(f"token_attribution explains a TextClassifier, not {type(task).__name__}")
    if task.pairs:
        raise ValueError("token_attribution explains single texts, and this task takes pairs")
    steps = whole_number("steps", steps, 1)
    found = task.predict(text)
    if label is None:
        label = getattr(found, "label", None) or (getattr(found, "labels", None) or task.labels)[0]
    if label not in task.labels:
        raise ValueError(f"label={label!r} is none of the task's: {', '.join(map(str, task.labels))[:200]}")
    column = task.labels.index(label)
    offsets = TokenOffsets(task.tokenizer, text, task.maxlen, task.prefix)
    rest, embeddings, baseline = _parts(task, text, offsets)

    ends = [float(rest.scores(rows.astype("float32"), column, task.kind)[0]) for rows in (embeddings, baseline)]
    move = embeddings - baseline
    while True:
        gradient = _mean_gradient(rest, baseline, move, steps, column, task.kind)
        weights = (gradient * move).sum(-1)[0]
        if abs(weights.sum() - (ends[0] - ends[1])) <= TOLERANCE or steps >= MOST_STEPS:
            break
        steps *= 2
    tokens = [
        TokenWeight(*span, text[slice(*span)], float(weight))
        for span, weight in zip(offsets.spans, weights, strict=True)
        if span is not None
    ]
    return Attribution(text, str(label), tokens, *ends)


# {a classifier's model: the same from the embeddings of tokens on}; making it is slow, and leaves traces in its layers.
_MODELS: MutableMapping[Any, Any] = weakref.WeakKeyDictionary()


class _Rest:
    """A classifier from the embeddings of tokens on."""

    def __init__(self, model: Any, layer: Any, inputs: list[np.ndarray]):
        if model not in _MODELS:
            embeddings = keras_private.calls_of(layer, model)[0].outputs[0]
            _MODELS[model] = keras.Model([*model.inputs, embeddings], model.output)
        self._model, self._inputs = _MODELS[model], inputs

    def _scores(self, rows: Any, column: int, kind: str) -> Any:
        inputs = [ops.convert_to_tensor(np.repeat(array, len(rows), 0)) for array in self._inputs]
        scores = self._model([*inputs, rows], training=False)[:, column]
        return ops.sigmoid(scores) if kind == "multi" else scores

    def scores(self, rows: np.ndarray, column: int, kind: str) -> np.ndarray:
        """Return the (B,) scores of a label for embeddings (B, T, C)."""
        return ops.convert_to_numpy(self._scores(ops.convert_to_tensor(rows), column, kind))

    def gradients(self, rows: np.ndarray, column: int, kind: str) -> np.ndarray:
        """Return the (B, T, C) gradients of the scores of a label with respect to embeddings."""
        values = [ops.convert_to_tensor(rows)]
        _, _, (gradient,) = value_and_gradients(lambda x: (ops.sum(self._scores(x[0], column, kind)), None), values)
        return ops.convert_to_numpy(gradient)


def _mean_gradient(
    rest: _Rest, baseline: np.ndarray, move: np.ndarray, steps: int, column: int, kind: str | None
) -> np.ndarray:
    """Return the (1, T, C) mean of the gradients on the line from the baseline by a move."""
    points, shares = np.polynomial.legendre.leggauss(steps)
    points, shares = (points + 1) / 2, shares / 2  # from 0 to 1
    total = np.zeros(move.shape[1:], "float64")
    for start in range(0, steps, 16):  # few rows at once, so that long texts fit into memory
        part = slice(start, start + 16)
        rows = (baseline + points[part, None, None] * move).astype("float32")
        total += np.tensordot(shares[part], rest.gradients(rows, column, kind), 1)
    return total[None]


def _parts(task: TextClassifier, text: str, offsets: TokenOffsets) -> tuple[_Rest, np.ndarray, np.ndarray]:
    """Return the model from the embeddings on, (1, T, C) embeddings of a text, and those of a text of masks alone."""
    name = task.transformer.config.prefix + "Embedding-Token"
    layer = next((layer for layer in task.model.layers if layer.name == name), None)
    if layer is None:
        raise ValueError(f"the model has no layer {name!r}, whose output token_attribution looks at")
    ids, segments = task.encode([text])
    arrays = [np.asarray(array) for array in task._cutter.inputs(ids, segments)]
    blank = task.tokenizer.__dict__.get("_token_mask_id")
    blank = task._cutter.pad if blank is None else blank
    special = np.array([span is None for span in offsets.spans])
    both = np.stack([ids[0], np.where(special, ids[0], blank)]).astype("int32")
    embedded = ops.convert_to_numpy(ops.cast(layer(ops.convert_to_tensor(both)), "float32"))
    return _Rest(task.model, layer, arrays), embedded[:1].astype("float64"), embedded[1:].astype("float64")
