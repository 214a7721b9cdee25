"""Comparing vectors: cosines, the nearest rows of a large matrix, candidates by their likeness to a text."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["rank_by_similarity", "search", "similarity"]

BLOCK = 1 << 22  # scores that are in memory at once (16 MiB)


def similarity(a: Any, b: Any = None) -> np.ndarray:
    """Return the cosines of all rows of a with all rows of b.

    Args:
        a: (N, D), or (D,) for one vector.
        b: (M, D) or (D,); `a` itself by default.

    Returns:
        (N, M) float32; 0 for a vector of zeros.

    Raises:
        ValueError: if the widths differ.
    """
    a = _matrix("a", a)
    b = a if b is None else _matrix("b", b)
    _same_width("a", a, "b", b)
    return _unit(a) @ _unit(b).T


def search(queries: Any, matrix: Any, top_k: int = 10, metric: str = "cosine") -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of a matrix that are nearest to each query, computed in blocks of limited memory.

    Args:
        queries: (Q, D), or (D,) for one.
        matrix: (N, D); any floats, a memory-mapped file too, which is read block by block.
        top_k: rows to return, at most N.
        metric: "cosine" or "dot"; of vectors of length 1 they are the same, and "dot" is faster.

    Returns:
        Scores (Q, k) float32, falling, and row numbers (Q, k) int64, with k = min(top_k, N); for one query (k,) each.
        Equal scores come in the order of the rows.

    Raises:
        ValueError: if shapes or options do not fit, or a number is NaN or infinite.
    """
    if metric not in ("cosine", "dot"):
        raise ValueError(f"metric is 'cosine' or 'dot', not {metric!r}")
    one = np.ndim(queries) == 1
    queries = _matrix("queries", queries)
    if not hasattr(matrix, "shape"):
        matrix = np.asarray(matrix, "float32")
    if len(matrix.shape) != 2 or not matrix.shape[0]:
        raise ValueError(f"matrix is an array (N, D) with rows, not one of shape {matrix.shape}")
    _same_width("queries", queries, "matrix", matrix)
    if operator.index(top_k) < 1:
        raise ValueError(f"top_k={top_k} is too small: at least 1")
    k = min(top_k, matrix.shape[0])
    queries = _unit(queries) if metric == "cosine" else queries
    step = 1024
    parts = [_nearest(queries[i : i + step], matrix, k, metric) for i in range(0, len(queries), step)]
    scores, indices = (np.concatenate(part) for part in zip(*parts, strict=True))
    return (scores[0], indices[0]) if one else (scores, indices)


def _nearest(queries: np.ndarray, matrix: Any, k: int, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Return `search` of a few queries."""
    scores = np.empty((len(queries), 0), "float32")
    indices = np.empty((len(queries), 0), "int64")
    size = max(BLOCK // max(len(queries), matrix.shape[1]), 1)
    for start in range(0, matrix.shape[0], size):
        block = np.asarray(matrix[start : start + size], "float32")
        new = queries @ (_unit(block) if metric == "cosine" else block).T
        if not np.isfinite(new).all():
            raise ValueError("queries or matrix hold NaN, infinity or numbers too large for float32 scores")
        rows = np.broadcast_to(np.arange(start, start + len(block)), new.shape)
        scores, indices = _best(np.hstack([scores, new]), np.hstack([indices, rows]), k)
    order = np.lexsort((indices, -scores))
    return np.take_along_axis(scores, order, 1), np.take_along_axis(indices, order, 1)


def _best(scores: np.ndarray, indices: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k largest scores of each row and their indices; of equal ones those that come first."""
    if scores.shape[1] <= k:
        return scores, indices
    chosen = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    # Which of several scores equal to the k-th one were chosen is arbitrary: choose the first ones instead.
    least = np.take_along_axis(scores, chosen, 1).min(1)
    for row in np.flatnonzero((scores >= least[:, None]).sum(1) > k):
        above = np.flatnonzero(scores[row] > least[row])
        equal = np.flatnonzero(scores[row] == least[row])
        chosen[row] = np.concatenate([above, equal[: k - len(above)]])
    return np.take_along_axis(scores, chosen, 1), np.take_along_axis(indices, chosen, 1)


def rank_by_similarity(encoder: Any, text: str, candidates: Iterable[str]) -> list[tuple[str, float]]:
    """Return candidates by the cosine of their vector with that of a text, nearest first.

    Args:
        encoder: a `SentenceEncoder`.
        text: what they are compared with.
        candidates: texts; duplicates and `text` itself are left out.

    Returns:
        (candidate, cosine) pairs; an empty list if no candidate is left.

    Raises:
        TypeError: if a text is not a str.
    """
    if not isinstance(text, str):
        raise TypeError(f"text is a str, not {type(text).__name__}")
    if isinstance(candidates, str):
        raise TypeError("candidates is one str, expected a list of them")
    found = list(candidates)
    for index, candidate in enumerate(found):
        if not isinstance(candidate, str):
            raise TypeError(f"candidates[{index}] is a {type(candidate).__name__} {candidate!r:.60}, expected a str")
    found = [candidate for candidate in dict.fromkeys(found) if candidate != text]
    if not found:
        return []
    vectors = encoder.encode([text, *found])
    scores = similarity(vectors[0], vectors[1:])[0]
    return [(found[i], float(scores[i])) for i in np.argsort(-scores, kind="stable")]


def _matrix(name: str, vectors: Any) -> np.ndarray:
    """Return vectors as a float32 matrix."""
    found = np.atleast_2d(np.asarray(vectors, "float32"))
    if found.ndim != 2 or not found.size:
        raise ValueError(f"{name} holds vectors (N, D), not an array of shape {np.shape(vectors)}")
    return found


def _same_width(first: str, a: Any, second: str, b: Any) -> None:
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"{first} has vectors of {a.shape[1]} numbers, {second} of {b.shape[1]}")


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Return rows of length 1; zeros stay zeros."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
