"""Hard negatives: texts that an encoder takes for answers and that are none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bert4keras2.arguments import whole_number
from bert4keras2.embeddings.compare import search

__all__ = ["hard_negatives"]


def hard_negatives(
    encoder: Any,
    pairs: Sequence[tuple[str, str]],
    count: int = 1,
    candidates: Sequence[str] | None = None,
    skip: int = 0,
    margin: float = 0.0,
    progress: bool | None = None,
) -> list[tuple[str, ...]]:
    """Return pairs with the candidates that are nearest to their first texts and do not belong to them.

    What is nearer than the second text less the margin is left out: it is likely to belong too and only not to be
    labelled (positive-aware mining, arXiv:2407.15831).

    Args:
        encoder: a `SentenceEncoder`.
        pairs: texts and what belongs to them; a text may come with several.
        count: negatives for each pair.
        candidates: among which to look; the second texts of all pairs if None.
        skip: leave out so many of the nearest ones, which may be unlabelled positives.
        margin: a negative's cosine is at most that of the pair minus this.
        progress: as for `SentenceEncoder.encode`.

    Returns:
        (text, second text, negative, ...) for each pair with so many negatives, in their order; others are left out.

    Raises:
        ValueError: if there are no pairs, or a number is out of range.
    """
    count, skip = whole_number("count", count, 1), whole_number("skip", skip, 0)
    pairs = [(first, second) for first, second in pairs]
    if not pairs:
        raise ValueError("hard_negatives() got no pairs")
    known: dict[str, set[str]] = {}
    for first, second in pairs:
        known.setdefault(first, {first}).add(second)
    pool = list(dict.fromkeys(candidates if candidates is not None else [second for _, second in pairs]))
    texts = list(dict.fromkeys([*known, *(second for _, second in pairs), *pool]))
    place = {text: number for number, text in enumerate(texts)}
    vectors = encoder.encode(texts, progress=progress)
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    matrix = vectors[[place[text] for text in pool]]
    # Enough to be left with `count` after the known ones; more where the margin takes many away.
    most = max(map(len, known.values()))
    reach = min(len(pool), max(4 * (count + skip), 50) + most)
    scores, found = search(vectors[[place[text] for text in known]], matrix, reach, "dot")
    rows = {text: number for number, text in enumerate(known)}
    result = []
    for first, second in pairs:
        bound = float(vectors[place[first]] @ vectors[place[second]]) - margin
        row = rows[first]
        near = [
            pool[index]
            for score, index in zip(scores[row].tolist(), found[row].tolist(), strict=True)
            if score <= bound and pool[index] not in known[first]
        ][skip : skip + count]
        if len(near) == count:
            result.append((first, second, *near))
    return result
