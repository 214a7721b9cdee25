"""Log-probabilities of given continuations, all candidates of a prompt over one prefill."""

from __future__ import annotations

from typing import Any

import numpy as np

from bert4keras2.decoders.prompts import Prompt, Prompter, padded_length

__all__ = ["log_probabilities"]


def log_probabilities(
    engine: Any, prompter: Prompter, prompts: list[Prompt], candidates: list[list[list[int]]]
) -> list[np.ndarray]:
    """Return for each prompt the sums of its candidates' log-probabilities.

    Args:
        engine: of the model.
        prompter: that made the prompts.
        prompts: B of them.
        candidates: for each prompt lists of ids.
    """
    flat = [(row, ids) for row, group in enumerate(candidates) for ids in group]
    if not flat:
        return [np.zeros(0) for _ in candidates]
    length = max(len(ids) for _, ids in flat)
    known = engine.positions
    longest = max(len(prompts[row].start) + len(ids) for row, ids in flat)
    if known is not None and longest > known:
        raise ValueError(
            f"A prompt and its candidate have {longest} tokens together, but the model knows {known} positions"
        )
    room = padded_length(length)
    first, tree = engine.open(prompter.arrays(prompts), [len(prompt.start) for prompt in prompts], room)
    owner = np.asarray([row for row, _ in flat])
    ids = np.zeros((len(flat), room), "int32")
    for row, (_, own) in zip(ids, flat, strict=True):
        row[: len(own)] = own
    after = prompter.segments_after(prompts)
    segments = None if after is None else np.repeat(after[owner][:, None], room, axis=1)
    scores, _ = engine.step(tree, ids, segments, 0, owner)
    # The prompt's scores speak of the first token, those after a token of the next one.
    scores = np.concatenate([first[owner][:, None], scores[:, :-1]], axis=1).astype("float64")
    scores -= scores.max(-1, keepdims=True)
    own = np.take_along_axis(scores, ids[..., None], axis=-1)[..., 0] - np.log(np.exp(scores).sum(-1))
    counted = np.arange(room)[None] < np.asarray([len(one) for _, one in flat])[:, None]
    sums = (own * counted).sum(1)
    return [sums[owner == row] for row in range(len(prompts))]
