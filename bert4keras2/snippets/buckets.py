"""Batches of similar length: the order in which samples are served."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

__all__ = ["bucketed", "sample_length"]


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
        parts = [sample_length(part) for part in sample if not np.isscalar(part) or isinstance(part, str | bytes)]
        return sum(parts) if parts else len(sample)
    return 0


def bucketed(
    samples: Iterable[Any],
    batch_size: int,
    window: int,
    length_of: Callable[[Any], int] = sample_length,
) -> Iterator[Any]:
    """Reorder shuffled samples so that each run of `batch_size` of them has similar lengths.

    The stream is cut into windows of `window` batches; each window is sorted by length and cut into batches, and its
    batches are served in random order (NumPy's generator). A batch that is not full comes last of all.

    Args:
        samples: the samples, already shuffled; equal lengths keep their order.
        batch_size: samples per batch.
        window: batches per window. More of them give purer batches; fewer give a better shuffle.
        length_of: the length of a sample.

    Yields:
        The same samples.

    Raises:
        ValueError: if `window` is not positive.
    """
    if window < 1:
        raise ValueError(f"bucket_window must be a positive number of batches, got {window!r}")
    samples = iter(samples)
    while group := list(islice(samples, window * batch_size)):
        lengths = np.array([length_of(sample) for sample in group])
        order = np.argsort(lengths, kind="stable")
        full, rest = divmod(len(group), batch_size)
        # The incomplete batch may hold any of the lengths, not always the longest.
        cut = np.random.randint(full + 1) * batch_size if rest else len(group)
        left, leftover, right = order[:cut], order[cut : cut + rest], order[cut + rest :]
        batches = np.concatenate([left, right]).reshape(full, batch_size)
        for batch in np.random.permutation(full):
            for i in batches[batch]:
                yield group[i]
        for i in leftover:
            yield group[i]
