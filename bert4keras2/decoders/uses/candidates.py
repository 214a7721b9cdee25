"""Decoding where not every text is an answer: substrings of passages, and given candidates."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["Choice", "choose_candidate", "substring_constraint"]

# Beginnings whose places are remembered; a search looks at those of the last tokens alone.
REMEMBERED = 4096


def substring_constraint(
    passage_ids: Sequence[Any], end_id: int, allow_empty: bool = False
) -> Callable[[list[int]], list[int]]:
    """Return a constraint under which a result is a run of tokens of a passage.

    Each place of the passage where the text so far occurs offers the token that follows it. The places of a text are
    found among those of the text without its last token, so a step costs as much as there are such places.

    Args:
        passage_ids: ids of the passage without special tokens, or a list of several passages' ids.
        end_id: the id that ends a text.
        allow_empty: whether the result may be empty ("no answer here").

    Returns:
        A function (ids so far) -> ids that may come next, for Generator.generate(..., constraint=...).

    Raises:
        TypeError: for a passage that is a text.
        ValueError: for a passage without ids, or with the end id in it.
    """
    if isinstance(passage_ids, str) or any(isinstance(one, str) for one in passage_ids):
        raise TypeError("passage_ids holds token ids: tokenizer.encode(passage)[0][1:-1]")
    passages = [passage_ids] if all(np.ndim(one) == 0 for one in passage_ids) else list(passage_ids)
    if not passages or any(len(one) == 0 for one in passages):
        raise ValueError("passage_ids holds no ids: an answer needs a passage to stand in")
    end_id = int(end_id)
    if any(end_id in one for one in passages):
        raise ValueError(
            f"The passage holds the end id {end_id}: leave special tokens out, tokenizer.encode(passage)[0][1:-1]"
        )
    # Passages one after another, an end after each: no answer runs over it, and the end of a passage offers an end.
    joined = np.concatenate([[*one, end_id] for one in passages]).astype("int64")
    everywhere = np.flatnonzero(joined != end_id)
    known: dict[tuple[int, ...], np.ndarray] = {(): everywhere}

    def places(ids: tuple[int, ...]) -> np.ndarray:
        """Return the places in `joined` of what may follow ids."""
        length = len(ids)
        while ids[:length] not in known:
            length -= 1
        found = known[ids[:length]]
        for size in range(length, len(ids)):
            found = found[joined[found] == ids[size]] + 1
            if len(known) >= REMEMBERED:
                known.clear()
                known[()] = everywhere
            known[ids[: size + 1]] = found
            if not found.size:
                return found
        return found

    def allowed(ids: Sequence[int]) -> list[int]:
        ids = tuple(int(i) for i in ids)
        # Rows that have ended are asked too.
        found = places(ids) if end_id not in ids else everywhere[:0]
        following = set(joined[found].tolist())
        if ids or allow_empty:
            following.add(end_id)
        return sorted(following)

    return allowed


@dataclasses.dataclass(frozen=True)
class Choice:
    """The best of several candidates.

    Args:
        candidate: the best one, as it was given.
        index: its place among the candidates.
        probabilities: (N,) of all candidates, together 1.
        scores: (N,) log-probabilities of all candidates under the model.
    """

    candidate: Any
    index: int
    probabilities: np.ndarray
    scores: np.ndarray


def choose_candidate(
    generator: Any, prompt: Any, candidates: Sequence[Any], end: bool = False, per_token: bool = False
) -> Choice:
    """Return the candidate that a model would most likely go on with.

    Nothing is generated: all candidates are scored in one step over one reading of the prompt.

    Args:
        generator: a `Generator`.
        prompt: a text, ids or (ids, segments).
        candidates: texts, or lists of ids (moves of a game, labels, answers to choose from).
        end: whether the end token after a candidate counts: needed where one candidate is the beginning of another.
        per_token: rank by the mean log-probability of a token, which is fairer to long candidates.

    Raises:
        TypeError: if candidates is one str.
        ValueError: without candidates, or if `end` is asked of a generator without end id.
    """
    if isinstance(candidates, str):
        raise TypeError("candidates is a list of texts or of lists of ids, not one str")
    candidates = list(candidates)
    if not candidates:
        raise ValueError("There are no candidates to choose from")
    if end and not generator.end_ids:
        raise ValueError("end=True counts the end token, but the Generator has none: pass end_id= to it")
    (scores,) = generator.score([prompt], [candidates], end=end)
    ranks = scores
    if per_token:
        ranks = scores / np.asarray([len(generator._candidate(one, end)) for one in candidates])
    best = int(np.argmax(ranks))
    shares = np.exp(ranks - ranks[best])
    return Choice(candidates[best], best, shares / shares.sum(), scores)
