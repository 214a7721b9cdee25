"""What a step of decoding does to the scores of the next token, in NumPy.

The filters take logits (B, V) and return a copy in which the tokens that may not follow are -inf, so they can be
chained and then handed to softmax. `largest`, `beyond_nucleus` and `draw` are the steps of the classic decoder.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bert4keras2.arguments import at_least, fraction, positive
from bert4keras2.snippets.arrays import softmax

__all__ = [
    "beyond_nucleus",
    "draw",
    "largest",
    "min_p_filter",
    "no_repeat_ngram",
    "repetition_penalty",
    "softmax",
    "top_k_filter",
    "top_p_filter",
]


def top_k_filter(logits: Any, k: int) -> np.ndarray:
    """Keep the k highest logits of each row, and those equal to the k-th.

    Args:
        logits: (B, V) scores.
        k: how many tokens may follow, at least 1; k >= V keeps all.

    Returns:
        (B, V) scores with -inf for the others.

    Raises:
        ValueError: if k < 1.

    Source: Fan et al., arXiv:1805.04833
    """
    logits = _scores(logits)
    k = min(at_least("k", k, 1), logits.shape[1])
    threshold = np.sort(logits, axis=1)[:, -k][:, None]
    return np.where(logits < threshold, -np.inf, logits)


def top_p_filter(logits: Any, p: float) -> np.ndarray:
    """Keep, in each row, the fewest most probable tokens whose probabilities reach p together.

    The most probable token always stays. Of equally probable tokens the lower id comes first.

    Args:
        logits: (B, V) scores.
        p: mass to reach, in (0, 1].

    Returns:
        (B, V) scores with -inf for the others.

    Raises:
        ValueError: if p is outside (0, 1].

    Source: Holtzman et al., arXiv:1904.09751
    """
    logits = _scores(logits)
    order = np.argsort(-logits, axis=1, kind="stable")
    removed = np.zeros(logits.shape, dtype=bool)
    np.put_along_axis(removed, order, beyond_nucleus(np.take_along_axis(softmax(logits), order, axis=1), p), axis=1)
    return np.where(removed, -np.inf, logits)


def min_p_filter(logits: Any, p: float) -> np.ndarray:
    """Keep the tokens at least p times as probable as the most probable one of their row.

    Args:
        logits: (B, V) scores.
        p: share of the highest probability, in (0, 1].

    Returns:
        (B, V) scores with -inf for the others.

    Raises:
        ValueError: if p is outside (0, 1].

    Source: Nguyen et al., arXiv:2407.01082
    """
    logits = _scores(logits)
    # In logarithms, so that tokens whose probability underflows are still compared.
    return np.where(logits < logits.max(axis=1, keepdims=True) + np.log(fraction("p", p)), -np.inf, logits)


def repetition_penalty(logits: Any, ids: Any, penalty: float) -> np.ndarray:
    """Lower the scores of the tokens that a row already holds: positive logits / penalty, others * penalty.

    Args:
        logits: (B, V) scores.
        ids: (B, T) tokens so far; negative ones are padding.
        penalty: greater than 0; 1 changes nothing, less than 1 rewards repetition.

    Returns:
        (B, V) scores.

    Raises:
        ValueError: if penalty <= 0 or the rows of ids and logits differ in number.

    Source: Keskar et al., arXiv:1909.05858; the two cases for the sign as in other libraries
    """
    logits, penalty = _scores(logits), positive("penalty", penalty)
    seen = np.zeros(logits.shape, dtype=bool)
    for row, tokens in enumerate(_tokens(ids, logits)):
        seen[row, tokens[tokens >= 0]] = True
    return np.where(seen, np.where(logits > 0, logits / penalty, logits * penalty), logits)


def no_repeat_ngram(logits: Any, ids: Any, n: int) -> np.ndarray:
    """Forbid the tokens that would complete an n-gram which their row already holds.

    Args:
        logits: (B, V) scores.
        ids: (B, T) tokens so far; negative ones are padding and part of no n-gram.
        n: length of the n-grams that occur once at most; 1 forbids every token seen.

    Returns:
        (B, V) scores with -inf for the forbidden tokens.

    Raises:
        ValueError: if n < 1 or the rows of ids and logits differ in number.

    Source: Paulus et al., arXiv:1705.04304 (there for trigrams)
    """
    logits, n = _scores(logits), at_least("n", n, 1)
    banned = np.zeros(logits.shape, dtype=bool)
    for row, tokens in enumerate(_tokens(ids, logits)):
        tokens = [int(token) for token in tokens if token >= 0]
        start = tokens[len(tokens) - n + 1 :] if n > 1 else []
        for i in range(len(tokens) - n + 1):
            if tokens[i : i + n - 1] == start:
                banned[row, tokens[i + n - 1]] = True
    return np.where(banned, -np.inf, logits)


def largest(values: Any, k: int) -> np.ndarray:
    """Return the indices of the k largest entries of each row, in the order in which a scalar partition leaves them.

    Args:
        values: (B, V).
        k: how many, at most V are returned.

    Returns:
        (B, min(k, V)) indices, unsorted.
    """
    values = np.asarray(values)
    k = min(k, values.shape[-1])
    return _portable(values).argpartition(-k, axis=-1)[..., -k:]


def beyond_nucleus(descending: Any, p: float) -> np.ndarray:
    """Return which probabilities come after the first ones that reach p together.

    Args:
        descending: (B, V) probabilities, the highest first.
        p: mass to reach, in (0, 1].

    Returns:
        (B, V) booleans, False in the first column.

    Raises:
        ValueError: if p is outside (0, 1].
    """
    reached = np.cumsum(descending, axis=1) >= fraction("p", p)
    beyond = np.zeros(reached.shape, dtype=bool)
    beyond[:, 1:] = reached[:, :-1]  # the token that crosses p still belongs
    return beyond


def draw(probas: Any) -> np.ndarray:
    """Draw an index from each row of probabilities with NumPy's global generator, one number a row.

    It draws what `np.random.choice(V, p=row)` draws row by row from the same seed.

    Args:
        probas: (B, V) non-negative weights.

    Returns:
        (B,) indices.
    """
    cumulative = np.cumsum(np.asarray(probas, dtype="float64"), axis=1)
    cumulative /= cumulative[:, -1:]
    return (cumulative <= np.random.random_sample(len(cumulative))[:, None]).sum(axis=1)


def descending(values: Any) -> np.ndarray:
    """Return the indices (B, V) that sort each row from high to low; ties as a reversed ascending sort leaves them."""
    return _portable(np.asarray(values)).argsort(axis=1)[:, ::-1]


def _portable(values: np.ndarray) -> np.ndarray:
    """Return values whose partition and sort do not depend on the CPU.

    For float32 and float64, NumPy picks vector instructions at run time, which order candidates and ties in other
    ways: the same seed would give other samples on another machine. Long doubles always take the scalar path.
    """
    return values.astype(np.longdouble)


def _scores(logits: Any) -> np.ndarray:
    logits = np.asarray(logits)
    if logits.ndim != 2 or not logits.shape[1]:
        raise ValueError(f"logits must have the shape (B, V) with V >= 1, not {logits.shape}")
    return logits if np.issubdtype(logits.dtype, np.floating) else logits.astype("float64")


def _tokens(ids: Any, logits: np.ndarray) -> np.ndarray:
    ids = np.asarray(ids, dtype=int)
    if ids.ndim != 2 or len(ids) != len(logits):
        raise ValueError(f"ids must have the shape (B, T) with B = {len(logits)} as the logits, not {ids.shape}")
    if ids.size and ids.max() >= logits.shape[1]:
        raise ValueError(f"ids hold {ids.max()}, but the logits are of {logits.shape[1]} tokens")
    return ids
