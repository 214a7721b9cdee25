"""Log-probabilities of given continuations, all candidates of a prompt over one prefill."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bert4keras2.decoders.prompts import Prompt, Prompter, padded_length, past_of

__all__ = ["log_probabilities"]


def log_probabilities(
    engine: Any,
    prompter: Prompter,
    prompts: list[Prompt],
    candidates: list[list[list[int]]],
    extra: Sequence[np.ndarray] = (),
) -> list[np.ndarray]:
    """Return for each prompt the sums of its candidates' log-probabilities.

    Args:
        engine: of the model.
        prompter: that made the prompts.
        prompts: B of them.
        candidates: for each prompt lists of ids.
        extra: arrays (B, ...) for the model's additional inputs.
    """
    if not all(candidates):
        wanted = [row for row, group in enumerate(candidates) if group]
        chosen = (
            [prompts[row] for row in wanted],
            [candidates[row] for row in wanted],
            [array[wanted] for array in extra],
        )
        found = dict(zip(wanted, log_probabilities(engine, prompter, *chosen) if wanted else [], strict=True))
        return [found.get(row, np.zeros(0)) for row in range(len(prompts))]
    flat = [(row, ids) for row, group in enumerate(candidates) for ids in group]
    if not flat:
        return []
    length = max(len(ids) for _, ids in flat)
    known = engine.positions
    longest = max(len(prompts[row].start) + len(ids) for row, ids in flat)
    if known is not None and longest > known:
        raise ValueError(
            f"A prompt and its candidate have {longest} tokens together, but the model knows {known} positions"
        )
    farthest = max(len(prompt.start) for prompt in prompts)
    if known is not None and farthest + length > known and len(prompts) > 1:
        # Side by side, the padding of a long prompt's candidates would leave the table of positions.
        each = (
            (prompts[i : i + 1], candidates[i : i + 1], [array[i : i + 1] for array in extra])
            for i in range(len(prompts))
        )
        return [log_probabilities(engine, prompter, *one)[0] for one in each]
    capacity = padded_length(length)
    width = capacity if known is None else min(capacity, known - farthest)
    lengths = [len(prompt.start) for prompt in prompts]
    first, cache = engine.open([*prompter.arrays(prompts), *extra], lengths, capacity, past_of(prompts))
    owner = np.asarray([row for row, _ in flat])
    ids = np.zeros((len(flat), width), "int32")
    for row, (_, own) in zip(ids, flat, strict=True):
        row[: len(own)] = own
    after = prompter.segments_after(prompts)
    segments = None if after is None else np.repeat(after[owner][:, None], width, axis=1)
    logits, _ = engine.step(cache, ids, segments, 0, owner)
    # The prompt's logits speak of the first token, those after a token of the next one.
    logits = np.concatenate([first[owner][:, None], logits[:, :-1]], axis=1).astype("float64")
    logits -= logits.max(-1, keepdims=True)
    logprobs = np.take_along_axis(logits, ids[..., None], axis=-1)[..., 0] - np.log(np.exp(logits).sum(-1))
    counted = np.arange(width)[None] < np.asarray([len(one) for _, one in flat])[:, None]
    sums = (logprobs * counted).sum(1)
    return [sums[owner == row] for row in range(len(prompts))]
