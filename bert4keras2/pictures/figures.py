"""Figures: how training went, what was taken for what, vectors in two dimensions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bert4keras2.metrics import confusion
from bert4keras2.pictures.canvas import finished, new_figure
from bert4keras2.settings import check_choice

__all__ = ["confusion_matrix", "training_curve", "vector_map"]

LOSS = "loss"


def training_curve(history: Any, path: str | os.PathLike | None = None, xlabel: str = "epoch") -> Any:
    """Draw how losses and figures went during training.

    Args:
        history: what `fit` returned, or {name: values}; names that end with "loss" are drawn on the left, the others
            on the right, those of validation rows dashed.
        path: the file to write (.png, .svg, .pdf, .jpg), if any.
        xlabel: what the values were taken after.

    Returns:
        The figure, which a notebook shows.

    Raises:
        ImportError: without matplotlib.
        TypeError, ValueError: if there is nothing to draw.
    """
    values = getattr(history, "history", history)
    if not isinstance(values, Mapping):
        raise TypeError(f"history is what fit() returned, or a dict of values, not {type(history).__name__}")
    drawn = {name: [float(value) for value in own] for name, own in values.items() if len(own)}
    drawn = {name: own for name, own in drawn.items() if "learning_rate" not in name}
    if not drawn:
        raise ValueError("history has no values: train at least one epoch before drawing")
    sides = (
        [(name, own) for name, own in drawn.items() if name.endswith(LOSS)],
        [(name, own) for name, own in drawn.items() if not name.endswith(LOSS)],
    )
    shown = [(title, side) for title, side in zip((LOSS, "figures"), sides, strict=True) if side]
    figure = new_figure(4.5 * len(shown), 3.4)
    for axes, (title, side) in zip(np.ravel(figure.subplots(1, len(shown))), shown, strict=True):
        for name, own in side:
            style = {"linestyle": "--" if name.startswith("val_") else "-", "marker": "." if len(own) < 30 else None}
            axes.plot(range(1, len(own) + 1), own, label=name, **style)
        axes.set(title=title, xlabel=xlabel)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    return finished(figure, path)


def confusion_matrix(
    true: Sequence[Any],
    predicted: Sequence[Any],
    labels: Sequence[Any] | None = None,
    path: str | os.PathLike | None = None,
) -> Any:
    """Draw which classes were taken for which: rows are true, columns predicted ones, colours shares of rows.

        report = task.evaluate(rows)
        confusion_matrix(report.true, report.predicted, task.labels, path="confusion.png")

    Args:
        true: N classes.
        predicted: the N that were found.
        labels: the classes in the order of the picture; those that occur, sorted, if None.
        path: the file to write, if any.

    Returns:
        The figure, which a notebook shows.

    Raises:
        ImportError: without matplotlib.
        TypeError, ValueError: if the two cannot be compared, or a class is none of the labels.
    """
    if labels is None:
        labels = sorted({*true, *predicted}, key=str)
    table = confusion(true, predicted, labels)
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    side = min(2.2 + 0.5 * len(labels), 14.0)
    figure = new_figure(side + 0.8, side)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [str(label) for label in labels]
    axes.set_xticks(range(len(names)), names, rotation=90 if max(map(len, names)) > 2 else 0)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", ylabel="true")
    if len(labels) <= 25:  # more cells have no room for numbers
        for row, column in np.argwhere(table):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(table[row, column]), ha="center", va="center", color=colour, fontsize=8)
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the row")
    return finished(figure, path)


def vector_map(
    vectors: Any,
    labels: Sequence[Any] | None = None,
    texts: Sequence[str] | None = None,
    method: str = "pca",
    path: str | os.PathLike | None = None,
    seed: int = 0,
) -> Any:
    """Draw vectors in two dimensions.

    Args:
        vectors: (N, C) array, such as `SentenceEncoder.encode` gives.
        labels: N classes, which are colours.
        texts: N texts, written beside the points, cut at 12 characters.
        method: "pca", along the two directions of largest variance; "tsne", neighbours stay neighbours (needs
            scikit-learn, and more than 3 vectors).
        path: the file to write, if any.
        seed: of "tsne".

    Returns:
        The figure, which a notebook shows.

    Raises:
        ImportError: without matplotlib, or without scikit-learn for "tsne".
        ValueError: for shapes or numbers that do not fit.
    """
    check_choice("method", method, ("pca", "tsne"))
    points = np.asarray(vectors, "float64")
    if points.ndim != 2 or len(points) < 3:
        raise ValueError(f"vectors is an array (N, C) of at least 3 vectors, not one of the shape {points.shape}")
    for name, given in (("labels", labels), ("texts", texts)):
        if given is not None and len(given) != len(points):
            raise ValueError(f"{len(points)} vectors but {len(given)} {name}: each vector needs its own")
    places, share = _pca(points) if method == "pca" else (_tsne(points, seed), None)
    figure = new_figure(7.0, 5.5)
    axes = figure.subplots()
    groups = [None] * len(points) if labels is None else list(labels)
    for group in dict.fromkeys(groups):
        own = np.array([label == group for label in groups])
        axes.scatter(*places[own].T, s=22, alpha=0.75, label=None if group is None else str(group))
    if labels is not None:
        axes.legend()
    for place, text in zip(places, texts or (), strict=False):
        axes.annotate(
            text if len(text) <= 12 else text[:11] + "…", place, (4, 3), textcoords="offset points", fontsize=8
        )
    axes.set(xticks=[], yticks=[])
    if share is not None:
        axes.set(xlabel=f"{share[0]:.0%} of the variance", ylabel=f"{share[1]:.0%} of the variance")
    return finished(figure, path)


def _pca(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (N, 2) places, and the shares of the variance that the two directions have."""
    centred = points - points.mean(0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    total = max(float(np.square(sizes).sum()), 1e-30)
    places = np.zeros((len(points), 2))
    found = (left * sizes)[:, :2]
    places[:, : found.shape[1]] = found
    shares = np.zeros(2)
    shares[: len(sizes[:2])] = np.square(sizes[:2]) / total
    return places, shares


def _tsne(points: np.ndarray, seed: int) -> np.ndarray:
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise ImportError("method='tsne' needs scikit-learn: pip install scikit-learn; 'pca' needs nothing") from error
    nearest = min(30.0, (len(points) - 1) / 3)
    return TSNE(perplexity=nearest, init="pca", random_state=seed).fit_transform(points)
