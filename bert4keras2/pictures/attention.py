"""Where each token of a text looks."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from bert4keras2.models import attention_maps
from bert4keras2.pictures.canvas import finished, new_figure

__all__ = ["attention_map"]


def attention_map(
    model: Any,
    text: str,
    tokenizer: Any = None,
    layer: int | str = -1,
    head: int | str | None = None,
    maxlen: int = 64,
    path: str | os.PathLike | None = None,
) -> Any:
    """Draw where each token of a text looks: a row for each token, darker where it looks more.

        attention_map(task, "这家店的火锅很好吃", layer=0, head="all", path="attention.png")

    Args:
        model: a task, or what `attention_maps` takes besides.
        text: the text.
        tokenizer: that of the model; a task has its own.
        layer: which one, counted from 0 (-1 is the last), or its name.
        head: which one, from 0; "all" for a picture of each; the mean of all if None.
        maxlen: longest sequence of tokens; more have no room.
        path: the file to write (.png, .svg, .pdf, .jpg), if any.

    Returns:
        The figure, which a notebook shows.

    Raises:
        ImportError: without matplotlib.
        TypeError: without a tokenizer, or for a model without a transformer in it.
        ValueError: for a layer or head that there is not.
    """
    tokenizer = getattr(model, "tokenizer", None) if tokenizer is None else tokenizer
    if tokenizer is None:
        raise TypeError(f"attention_map needs the tokenizer of the {type(model).__name__}: pass tokenizer=")
    whole = getattr(model, "prefix", "") + text
    tokens = tokenizer.tokenize(whole, maxlen=maxlen)
    ids, _ = tokenizer.encode(whole, maxlen=maxlen)  # of one text all segment ids are 0
    found = attention_maps(model, [np.array([ids])]).weights
    name, weights = _layer(found, layer)
    heads = len(weights)
    if head is None:
        maps = {f"{name}, mean of {heads} heads" if heads > 1 else name: weights.mean(0)}
    elif head == "all":
        maps = {f"head {number}": own for number, own in enumerate(weights)}
    elif isinstance(head, int) and -heads <= head < heads:
        maps = {f"{name}, head {head % heads}": weights[head]}
    else:
        raise ValueError(f"head is a number from 0 to {heads - 1}, 'all' or None, not {head!r}")
    return finished(_drawn(maps, tokens, name), path)


def _layer(found: dict[str, np.ndarray], layer: int | str) -> tuple[str, np.ndarray]:
    """Return the name of a layer and its (H, T, S) weights for the only text."""
    names = list(found)
    if isinstance(layer, int) and -len(names) <= layer < len(names):
        layer = names[layer]
    if layer not in found:
        raise ValueError(f"layer is a number from 0 to {len(names) - 1} or one of {', '.join(names)}, not {layer!r}")
    return layer, found[layer][0]


def _drawn(maps: dict[str, np.ndarray], tokens: list[str], name: str) -> Any:
    """Return a figure of one or several (T, T) maps."""
    columns = math.ceil(math.sqrt(len(maps)))
    rows = math.ceil(len(maps) / columns)
    side = min(1.4 + 0.24 * len(tokens), 12.0) / (1 if len(maps) == 1 else 1.4)
    figure = new_figure(side * columns + 0.6, side * rows + 0.4)
    grid = np.ravel(figure.subplots(rows, columns))
    for axes, (title, weights) in zip(grid, maps.items(), strict=False):
        axes.imshow(weights, cmap="Blues", vmin=0, vmax=max(float(weights.max()), 1e-9))
        axes.set_xticks(range(len(tokens)), tokens, rotation=90, fontsize=8)
        axes.set_yticks(range(len(tokens)), tokens, fontsize=8)
        axes.set_title(title, fontsize=9)
    for axes in grid[len(maps) :]:
        axes.set_axis_off()
    if len(maps) > 1:
        figure.suptitle(name, fontsize=10)
    grid[0].set(ylabel="looks", xlabel="at")
    return figure
