"""Batches of similar length: the order in which samples are served."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

__all__ = ["bucketed", "sample_length"]


_SIZED = (str, bytes, list, tuple, dict, np.ndarray)


def sample_length(sample: Any) -> int:
    """Estimate how long a sample is: the characters or items of its texts, lists and arrays, all together.

    Numbers, labels and other scalars count nothing; a list of numbers (token ids) counts its items.
    """
    if isinstance(sample, str | bytes):
        return len(sample)
    if isinstance(sample, dict):
        return sum(sample_length(value) for value in sample.values())
    if isinstance(sample, np.ndarray):
        return len(sample) if sample.ndim else 0
    if isinstance(sample, list | tuple):
        parts = [sample_length(part) for part in sample if isinstance(part, _SIZED)]
        return sum(parts) if parts else len(sample)
    return 0


def bucketed(
    samples: Iterable[Any],
    batch_size: int,
    window: int,
    length_of: Callable[[Any], int] = sample_length,
    random: Any = np.random,
) -> Iterator[Any]:
    """Reorder shuffled samples so that each run of `batch_size` of them has similar lengths.

    The stream is cut into windows of `window` batches; each window is sorted by length and cut into batches, and its
    batches are served in random order. A batch that is not full comes last of all; it has the
    longest samples of its window, so that its shape hardly changes from one pass to the next.

    Args:
        samples: the samples, already shuffled; equal lengths keep their order.
        batch_size: samples per batch.
        window: batches per window; the last window has up to twice as many. Larger windows give purer batches, smaller
            ones a better shuffle.
        length_of: the length of a sample.
        random: a NumPy RandomState; NumPy's global generator by default.

    Yields:
        The same samples.

    Raises:
        ValueError: if `window` is not positive.
    """
    if window < 1:
        raise ValueError(f"bucket_window must be a positive number of batches, got {window!r}")
    for group in _windows(iter(samples), batch_size * window):
        lengths = np.array([length_of(sample) for sample in group])
        order = np.argsort(lengths, kind="stable")
        full = len(group) // batch_size
        for batch in random.permutation(full):
            for i in order[batch * batch_size : (batch + 1) * batch_size]:
                yield group[i]
        for i in order[full * batch_size :]:
            yield group[i]


def _windows(samples: Iterator[Any], size: int) -> Iterator[list[Any]]:
    """Cut the samples into lists of `size`; the last one also takes what does not fill another."""
    group = list(islice(samples, size))
    while group:
        following = list(islice(samples, size))
        if len(following) < size:
            yield group + following
            return
        yield group
        group = following
