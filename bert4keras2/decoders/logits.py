"""From the logits of the next token to a token, in keras.ops: what the compiled loops of generation do at each step."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

from keras import ops

from bert4keras2.functional.nucleus import nucleus

__all__ = ["LOWEST", "Controls", "LogitsRules", "allowed_logits", "is_end", "sample"]

# Shape legend: R rows, V vocabulary, L length of the history (prompt and what followed it), N capacity for new tokens,
# B prompts.

# What a forbidden token's logit becomes: finite, so that sums of them are numbers.
LOWEST = -1e30


@dataclasses.dataclass(frozen=True)
class LogitsRules:
    """What changes logits before a token is chosen; frozen, since each set of rules is a compiled program.

    Args:
        end_ids: ids that end a text.
        top_k: only the k likeliest tokens; 0 for all.
        use_top_p: only the fewest tokens that reach the probability `top_p` together.
        use_min_p: only tokens with at least `min_p` times the probability of the likeliest.
        use_penalty: make tokens of prompt and text less likely by `repetition_penalty`.
        ngram: never repeat a run of so many tokens; 0 for no such rule.
        min_length: no end before so many tokens.
        banned: sequences of ids that must not appear.
    """

    end_ids: tuple[int, ...] = ()
    top_k: int = 0
    use_top_p: bool = False
    use_min_p: bool = False
    use_penalty: bool = False
    ngram: int = 0
    min_length: int = 0
    banned: tuple[tuple[int, ...], ...] = ()


class Controls(NamedTuple):
    """The numbers that a compiled loop takes as arguments, so that other ones compile nothing anew; () where unused."""

    step_limit: Any  # scalar: stop when so many tokens are there
    row_limit: Any  # (R,), of beams (B,): most tokens of each row
    segment: Any = ()  # (R,) segment id of new tokens
    bias: Any = ()  # (R, V) added to the logits: what a constraint allows
    uniform: Any = ()  # (R, N) numbers from [0, 1) to sample with
    repetition_penalty: Any = 1.0
    temperature: Any = 1.0
    top_p: Any = 1.0
    min_p: Any = 0.0
    length_penalty: Any = 0.0


def allowed_logits(logits: Any, rules: LogitsRules, t: Any, history: Any, lengths: Any, controls: Controls) -> Any:
    """Return logits (R, V) with what the rules forbid at the lowest float, and penalty and bias applied.

    Args:
        logits: (R, V) of the model, or log-probabilities.
        rules: what to apply.
        t: scalar, how many tokens have followed the prompt.
        history: (R, L) ids of prompt and text, without gaps.
        lengths: (R,) how many of them count.
        controls: here `repetition_penalty` (Keskar et al., arXiv:1909.05858) and `bias`.
    """
    rows, size = logits.shape
    if rules.use_penalty:
        real = ops.arange(history.shape[1], dtype="int32")[None] < lengths[:, None]
        seen = _marked(ops.where(real, history, 0), ops.cast(real, "float32"), rows, size) > 0
        penalty = controls.repetition_penalty
        logits = ops.where(seen, ops.where(logits > 0, logits / penalty, logits * penalty), logits)
    forbidden = [_ends_ngram(history, lengths, rules.ngram, size)] if rules.ngram else []
    forbidden += [_would_complete(word, history, lengths, size) for word in rules.banned]
    if rules.min_length and rules.end_ids:
        ends = ops.sum(ops.one_hot(ops.convert_to_tensor(rules.end_ids, dtype="int32"), size), axis=0) > 0
        forbidden.append(ops.logical_and(ops.expand_dims(ends, 0), t < rules.min_length))
    if forbidden:
        logits = ops.where(functools.reduce(ops.logical_or, forbidden), ops.cast(LOWEST, logits.dtype), logits)
    return logits if isinstance(controls.bias, tuple) else logits + controls.bias


def is_end(token: Any, rules: LogitsRules) -> Any:
    """Return booleans that are true where a token is one of the end ids."""
    found = ops.zeros_like(token, dtype="bool")
    for end in rules.end_ids:
        found = ops.logical_or(found, ops.equal(token, end))
    return found


def _marked(ids: Any, weights: Any, rows: int, size: int) -> Any:
    """Return (R, V) with the weights (R, L) summed at the ids (R, L)."""
    places = ops.arange(rows, dtype="int32")
    where = ops.stack([ops.broadcast_to(ops.expand_dims(places, 1), ids.shape), ids], axis=-1)
    return ops.scatter(ops.reshape(where, (-1, 2)), ops.reshape(weights, (-1,)), (rows, size))


def _ends_ngram(history: Any, lengths: Any, n: int, size: int) -> Any:
    """Return (R, V) booleans that are true at tokens which would repeat a run of n tokens of the history."""
    rows, length = history.shape
    starts = ops.expand_dims(ops.arange(length, dtype="int32"), 0)
    same = starts + n <= ops.expand_dims(lengths, 1)  # a run that begins here is complete
    for k in range(n - 1):
        last = ops.take_along_axis(history, ops.expand_dims(ops.maximum(lengths - (n - 1) + k, 0), 1), axis=1)
        same = ops.logical_and(same, ops.equal(_shifted(history, k), last))
    return _marked(_shifted(history, n - 1), ops.cast(same, "float32"), rows, size) > 0


def _shifted(history: Any, by: int) -> Any:
    """Return the history moved to the left by so many places, filled with 0."""
    by = min(by, history.shape[1])
    return ops.pad(history[:, by:], [[0, 0], [0, by]]) if by else history


def _would_complete(word: tuple[int, ...], history: Any, lengths: Any, size: int) -> Any:
    """Return (R, V) booleans that are true at the last token of a word whose other tokens stand at the end."""

    *before, last = word
    match = lengths >= len(before)
    for k, token in enumerate(before):
        place = ops.expand_dims(ops.maximum(lengths - len(before) + k, 0), 1)
        match = ops.logical_and(match, ops.equal(ops.take_along_axis(history, place, axis=1)[:, 0], token))
    token = ops.expand_dims(ops.arange(size, dtype="int32"), 0) == last
    return ops.logical_and(ops.expand_dims(match, 1), token)


def sample(logits: Any, rules: LogitsRules, uniform: Any, controls: Controls) -> Any:
    """Return (R,) ids sampled from softmax(logits / temperature) after top-k, min-p and top-p.

    Args:
        logits: (R, V) from `allowed_logits`.
        rules: what to apply.
        uniform: (R,) numbers from [0, 1), one for each row: the same numbers give the same tokens on each backend.
        controls: `temperature`, `top_p` (Holtzman et al., arXiv:1904.09751), `min_p` (Nguyen et al.,
            arXiv:2407.01082).
    """
    logits = logits / controls.temperature
    ids = None
    if rules.top_k:
        logits, ids = ops.top_k(logits, min(rules.top_k, logits.shape[-1]))
    weights = ops.exp(logits - ops.max(logits, axis=-1, keepdims=True))
    if rules.use_min_p:
        weights = ops.where(weights >= controls.min_p, weights, 0.0)
    if rules.use_top_p:
        weights = nucleus(weights, controls.top_p)
    chosen = _inverse(weights, uniform)
    return chosen if ids is None else ops.take_along_axis(ids, ops.expand_dims(chosen, 1), axis=1)[:, 0]


def _inverse(weights: Any, uniform: Any) -> Any:
    """Return (R,) indices drawn in proportion to the weights (R, K), by inverting their cumulative sum.

    Sums are formed over blocks first: a running sum over a whole vocabulary is slow in XLA and less exact.
    """
    rows, size = weights.shape
    block = max(1, int(size**0.5))
    count = -(-size // block)
    weights = ops.reshape(ops.pad(weights, [[0, 0], [0, count * block - size]]), (rows, count, block))
    sums = ops.sum(weights, axis=-1)
    which, rest = _first_beyond(sums, uniform * ops.sum(sums, axis=-1))
    inner = ops.take_along_axis(weights, ops.reshape(which, (rows, 1, 1)), axis=1)[:, 0]
    within, _ = _first_beyond(inner, rest)
    return which * block + within


def _first_beyond(weights: Any, target: Any) -> tuple[Any, Any]:
    """Return the first index (R,) where the running sum exceeds the target, and what of the target is left there."""
    running = ops.cumsum(weights, axis=-1)
    beyond = ops.logical_and(running > ops.expand_dims(target, 1), weights > 0)
    # Rounding may leave a target at the very end: then the last weight above 0 is meant.
    places = ops.arange(weights.shape[-1], dtype="int32")
    last = ops.max(ops.where(weights > 0, ops.expand_dims(places, 0), 0), axis=-1)
    index = ops.where(ops.any(beyond, axis=-1), ops.cast(ops.argmax(ops.cast(beyond, "int32"), axis=-1), "int32"), last)
    before = ops.take_along_axis(running - weights, ops.expand_dims(index, 1), axis=1)[:, 0]
    return index, ops.maximum(target - before, 0.0)
