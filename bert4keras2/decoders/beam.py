"""Beam search, whole: the state, the compiled loop, and the request around it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from bert4keras2.decoders.engine import segments_of
from bert4keras2.decoders.kv_cache import Cache, capacity, reorder
from bert4keras2.decoders.logits import LOWEST, Controls, LogitsRules, allowed_logits, is_end
from bert4keras2.decoders.request import Generation, Request

__all__ = ["BeamRequest", "BeamState", "beam_loop", "beam_start"]

# Shape legend: B prompts, K beams, R = B * K rows, N capacity for new tokens, P padded prompt length, L = P + N,
# V vocabulary, J candidates.


class BeamState(NamedTuple):
    """What one step of the loop hands to the next."""

    t: Any  # scalar: how many tokens there are
    logits: Any  # (R, V) of the next token
    cache: Cache
    history: Any  # (R, L) ids of prompt and text without gaps, which penalties and n-grams look at
    tokens: Any  # (B, K, N) ids of the beams that go on
    score: Any  # (B, K) sums of their tokens' log-probabilities
    kept_tokens: Any  # (B, K, N) ids of the best texts that have ended
    kept_rank: Any  # (B, K) their sums over length ** length_penalty, falling; LOWEST where there is none
    kept_count: Any  # (B, K) how many tokens they have, end tokens among them
    done: Any  # (B,) booleans: which prompts' searches are over
    count: Any  # (B,) how many tokens the beams of a prompt have


def beam_start(logits: Any, cache: Cache, tokens: Any, beams: int) -> BeamState:
    """Return the state before the first token.

    Args:
        logits: (R, V) of the first token; rows are the K beams of each prompt.
        cache: of the prompts, with R rows.
        tokens: (R, P) ids that count for penalties and n-grams, padded with 0 at the end.
        beams: K.
    """
    batch, size = logits.shape[0] // beams, capacity(cache)
    # All beams of a prompt are alike at first, so only one of them may go on.
    first = ops.expand_dims(ops.where(ops.arange(beams) == 0, 0.0, LOWEST), 0)
    return BeamState(
        t=ops.zeros((), dtype="int32"),
        logits=logits,
        cache=cache,
        history=ops.pad(ops.cast(tokens, "int32"), [[0, 0], [0, size]]),
        tokens=ops.zeros((batch, beams, size), dtype="int32"),
        score=ops.broadcast_to(ops.cast(first, "float32"), (batch, beams)),
        kept_tokens=ops.zeros((batch, beams, size), dtype="int32"),
        kept_rank=ops.full((batch, beams), LOWEST, dtype="float32"),
        kept_count=ops.zeros((batch, beams), dtype="int32"),
        done=ops.zeros((batch,), dtype="bool"),
        count=ops.zeros((batch,), dtype="int32"),
    )


def beam_loop(engine: Any, state: BeamState, rules: LogitsRules, beams: int, controls: Controls) -> BeamState:
    """Search for the likeliest texts with K beams, keeping the K best that have ended.

    A text's rank is the sum of its tokens' log-probabilities divided by its length to the power of `length_penalty`; 0
    ranks by the sum alone. A prompt is done when no beam can still enter its K best.

    Args:
        engine: whose model goes on.
        state: of `beam_start` or of this function.
        rules: what limits the choice.
        beams: K.
        controls: its numbers; `row_limit` is (B,).
    """
    batch, size = state.tokens.shape[0], state.logits.shape[-1]
    penalty = controls.length_penalty

    def unfinished(state: BeamState) -> Any:
        return ops.logical_and(state.t < controls.step_limit, ops.logical_not(ops.all(state.done)))

    def step(state: BeamState) -> BeamState:
        t, lengths = state.t, state.cache.lengths + state.t
        logprobs = ops.log_softmax(state.logits, axis=-1)
        logprobs = allowed_logits(logprobs, rules, t, state.history, lengths, controls)
        total = ops.expand_dims(state.score, 2) + ops.reshape(logprobs, (batch, beams, size))
        # Each beam may end in as many ways as there are end ids, and there must still be K candidates that go on.
        candidates = min((1 + max(1, len(rules.end_ids))) * beams, beams * size)
        best, index = ops.top_k(ops.reshape(total, (batch, beams * size)), candidates)
        parent, token = index // size, ops.cast(index % size, "int32")
        here = ops.reshape(ops.arange(state.tokens.shape[2], dtype="int32"), (1, 1, -1)) == t
        texts = ops.where(here, ops.expand_dims(token, 2), _of_beams(state.tokens, parent))
        ends = is_end(token, rules)
        kept = _keep(state, texts, best, ops.logical_and(ends, best > LOWEST / 2), t + 1, penalty)
        score, which = ops.top_k(ops.where(ends, LOWEST, best), beams)
        parent, token = (ops.take_along_axis(x, which, axis=1) for x in (parent, token))
        rows = ops.reshape(ops.expand_dims(ops.arange(batch, dtype=parent.dtype) * beams, 1) + parent, (-1,))
        column = ops.reshape(token, (-1, 1))
        history = ops.take(state.history, rows, axis=0)
        place = ops.expand_dims(ops.arange(history.shape[1], dtype="int32"), 0) == ops.expand_dims(lengths, 1)
        # A beam's sum only falls, and dividing by more makes it less negative.
        longest = ops.cast(controls.row_limit, "float32") ** penalty
        best_attainable = score[:, 0] / ops.where(penalty > 0, longest, ops.cast(t + 1, "float32") ** penalty)
        done = ops.logical_or(t + 1 >= controls.row_limit, ops.min(kept[1], axis=1) >= best_attainable)
        following, cache = engine.advance(reorder(state.cache, rows), column, segments_of(controls, column), t)
        old = ops.expand_dims(state.done, 1)  # what is done stays as it is

        def unless_done(before: Any, now: Any) -> Any:
            return ops.where(ops.expand_dims(old, 2) if now.ndim == 3 else old, before, now)

        return BeamState(
            t=t + 1,
            logits=following[:, 0],
            cache=cache,
            history=ops.where(place, column, history),
            tokens=unless_done(state.tokens, _of_beams(texts, which)),
            score=unless_done(state.score, score),
            kept_tokens=unless_done(state.kept_tokens, kept[0]),
            kept_rank=unless_done(state.kept_rank, kept[1]),
            kept_count=unless_done(state.kept_count, kept[2]),
            done=ops.logical_or(state.done, done),
            count=ops.where(state.done, state.count, t + 1),
        )

    return engine.loop(unfinished, step, state)


def _of_beams(values: Any, index: Any) -> Any:
    """Return values (B, K, N) of the beams that index (B, J) names, (B, J, N)."""
    index = ops.broadcast_to(ops.expand_dims(index, 2), (*index.shape, values.shape[2]))
    return ops.take_along_axis(values, index, axis=1)


def _keep(state: BeamState, texts: Any, sums: Any, ended: Any, count: Any, penalty: Any) -> tuple[Any, Any, Any]:
    """Return tokens, ranks and counts of the K best texts that have ended, of those kept and those that end now."""
    rank = ops.where(ended, sums / ops.cast(count, "float32") ** penalty, LOWEST)
    best, which = ops.top_k(ops.concatenate([state.kept_rank, rank], axis=1), state.kept_rank.shape[1])
    counts = ops.cast(ops.broadcast_to(count, sums.shape), "int32")
    return (
        _of_beams(ops.concatenate([state.kept_tokens, texts], axis=1), which),
        best,
        ops.take_along_axis(ops.concatenate([state.kept_count, counts], axis=1), which, axis=1),
    )


class BeamRequest(Request):
    """Beam search."""

    state: BeamState

    def start(self, logits: Any, cache: Cache, tokens: Any) -> BeamState:
        """Return the state before the first token."""
        return beam_start(logits, cache, tokens, self.options.num_beams)

    def controls(self) -> Controls:
        """Return the numbers of the loop."""
        return self.common_controls()._replace(length_penalty=np.float32(self.options.length_penalty))

    def advance(self, step_limit: int) -> None:
        """Run the loop until so many tokens are there or all prompts are done."""
        rules, beams = self.rules, self.options.num_beams
        function = self.engine.compiled(
            ("beam", rules, beams),
            lambda state, controls: beam_loop(self.engine, state, rules, beams, controls),
        )
        self.state = function(self.state, self.engine.tensors(self.numbers._replace(step_limit=np.int32(step_limit))))

    def unfinished_rows(self) -> np.ndarray:
        """Return (R,) booleans: which beams go on, those that break a rule left out."""
        return (~self.numpy("done")[:, None] & (self.numpy("score") > LOWEST / 2)).reshape(-1)

    def finish(self) -> list[list[Generation]]:
        """Run to the end and return the best results of each prompt, the likeliest first.

        Raises:
            ValueError: if the rules leave no text.
        """
        self.run()
        names = ("kept_tokens", "kept_rank", "kept_count", "tokens", "score", "count")
        kept, kept_rank, kept_count, tokens, score, counts = (self.numpy(name) for name in names)
        results = []
        for row in range(len(self.prompts)):
            found = [
                (float(kept_rank[row, k]), kept[row, k, : kept_count[row, k]].tolist())
                for k in range(self.options.num_beams)
                if kept_rank[row, k] > LOWEST / 2
            ]
            # Texts that had not ended when the tokens ran out.
            length = int(self.row_limits[row])
            for k in range(self.options.num_beams):
                if counts[row] == length and score[row, k] > LOWEST / 2:
                    rank = float(score[row, k]) / length**self.options.length_penalty
                    found.append((rank, tokens[row, k, :length].tolist()))
            if not found:
                raise ValueError(
                    "bad_words, constraint, min_length and no_repeat_ngram together leave no text: drop one of them"
                )
            found.sort(key=lambda pair: -pair[0])
            results.append([self.result(ids, rank, row) for rank, ids in found[: self.options.num_return]])
        return results
