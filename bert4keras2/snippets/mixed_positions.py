"""Positions in two dimensions for texts with images in them (RoPE-Tie), and images as patches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["mixed_positions", "to_patches"]

RULES = ("tie", "tie_equivalent", "tie_v2", "flat")


def mixed_positions(parts: Sequence[int | tuple[int, int]], rule: str = "tie_v2") -> np.ndarray:
    """Return positions of a sequence of texts and images, for a model with position_axes=2.

    A text's token n stands at (n, n), where rotary positions of two axes are those of one: a text alone is what it was.
    With L the position of the last token before an image of h rows and w columns, patch (i, j), counted from 1, is at

    - "tie": (L + i s, L + j t) with s = w + 1, t = h + 1, and the next token at L + (w + 1)(h + 1): gaps on both sides
      of the image are alike (Su Jianlin, kexue.fm/archives/10040);
    - "tie_equivalent": the same with s = (wh + 1) / (h + 1), t = (wh + 1) / (w + 1), so that the image takes the place
      of wh tokens;
    - "tie_v2": (L + (wh - h) / 2 + i, L + (wh - w) / 2 + j), so that besides neighbours are at distance 1 whatever the
      image's size (kexue.fm/archives/10352);
    - "flat": patches one after the other as tokens of a text, to compare with.

    Args:
        parts: lengths of texts, and (rows, columns) of images, in their order.
        rule: how images are laid out.

    Returns:
        (T, 2) float32, patches row by row.

    Raises:
        ValueError: for another rule or an empty image.
    """
    if rule not in RULES:
        raise ValueError(f"rule is one of {', '.join(RULES)}, not {rule!r}")
    last, found = -1.0, []  # the position of the last token so far
    for part in parts:
        if not isinstance(part, tuple | list):
            places = last + 1 + np.arange(part)
            found.append(np.stack([places, places], axis=1))
            last += part
            continue
        rows, columns = part
        if rows < 1 or columns < 1:
            raise ValueError(f"an image is (rows, columns) of patches, at least one of each, not {part!r}")
        size = rows * columns
        i, j = (grid.reshape(-1) for grid in np.mgrid[1 : rows + 1, 1 : columns + 1])
        if rule == "flat":
            places = last + 1 + np.arange(size)
            found.append(np.stack([places, places], axis=1))
            last += size
        elif rule == "tie_v2":
            found.append(np.stack([last + (size - rows) / 2 + i, last + (size - columns) / 2 + j], axis=1))
            last += size
        else:
            span = size + 1 if rule == "tie_equivalent" else (columns + 1) * (rows + 1)
            found.append(np.stack([last + i * span / (rows + 1), last + j * span / (columns + 1)], axis=1))
            last += span - 1
    return np.concatenate(found).astype("float32") if found else np.zeros((0, 2), "float32")


def to_patches(image: Any, size: int) -> np.ndarray:
    """Return an image as patches, row by row: (H / size * W / size, size * size * channels) float32.

    Args:
        image: (H, W) or (H, W, channels) array.
        size: height and width of a patch.

    Raises:
        ValueError: if the image is no whole number of patches high or wide.
    """
    array = np.asarray(image, "float32")
    array = array[..., None] if array.ndim == 2 else array
    height, width, channels = array.shape
    if height % size or width % size:
        raise ValueError(f"an image of {height} x {width} has no whole number of patches of {size} x {size}: pad it")
    blocks = array.reshape(height // size, size, width // size, size, channels).swapaxes(1, 2)
    return blocks.reshape(-1, size * size * channels)
