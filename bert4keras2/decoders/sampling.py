"""Sampling and greedy decoding, whole: the state, the compiled loop, and the request around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from bert4keras2.decoders.engine import segments_of
from bert4keras2.decoders.kv_cache import Cache, capacity
from bert4keras2.decoders.logits import Controls, LogitsRules, allowed_logits, is_end, sample
from bert4keras2.decoders.request import Generation, Request

__all__ = ["SampleRequest", "SampleState", "sample_loop", "sample_start"]

# Shape legend: R rows, N capacity for new tokens, P padded prompt length, L = P + N, V vocabulary.


class SampleState(NamedTuple):
    """What one step of the loop hands to the next."""

    t: Any  # scalar: how many tokens there are
    logits: Any  # (R, V) of the next token
    cache: Cache
    history: Any  # (R, L) ids of prompt and text without gaps, which penalties and n-grams look at
    tokens: Any  # (R, N) ids that were chosen, 0 from a row's end on
    done: Any  # (R,) booleans: which rows have ended
    count: Any  # (R,) how many tokens a row has, its end token among them
    token_logprobs: Any  # (R, N) log-probabilities of the tokens under the model


def sample_start(logits: Any, cache: Cache, tokens: Any) -> SampleState:
    """Return the state before the first token is chosen.

    Args:
        logits: (R, V) of the first token.
        cache: of the prompts, with R rows.
        tokens: (R, P) ids that count for penalties and n-grams, padded with 0 at the end.
    """
    rows, size = logits.shape[0], capacity(cache)
    return SampleState(
        t=ops.zeros((), dtype="int32"),
        logits=logits,
        cache=cache,
        history=ops.pad(ops.cast(tokens, "int32"), [[0, 0], [0, size]]),
        tokens=ops.zeros((rows, size), dtype="int32"),
        done=ops.zeros((rows,), dtype="bool"),
        count=ops.zeros((rows,), dtype="int32"),
        token_logprobs=ops.zeros((rows, size), dtype="float32"),
    )


def sample_loop(engine: Any, state: SampleState, rules: LogitsRules, greedy: bool, controls: Controls) -> SampleState:
    """Choose tokens and run the model on them until all rows have ended or `step_limit` tokens are there.

    Args:
        engine: whose model goes on.
        state: of `sample_start` or of this function.
        rules: what limits the choice.
        greedy: take the likeliest token rather than sampling one.
        controls: its numbers.
    """

    def unfinished(state: SampleState) -> Any:
        return ops.logical_and(state.t < controls.step_limit, ops.logical_not(ops.all(state.done)))

    def step(state: SampleState) -> SampleState:
        t, done = state.t, state.done
        lengths = state.cache.lengths + t
        # A penalty for what stands in an encoder's input would be a penalty for copying: history is the decoder's.
        logits = allowed_logits(state.logits, rules, t, state.history, lengths, controls)
        if greedy:
            token = ops.argmax(logits, axis=-1)
        else:
            token = sample(logits, rules, ops.take(controls.uniform, t, axis=1), controls)
        token = ops.where(done, 0, ops.cast(token, "int32"))
        column = token[:, None]
        logprob = ops.take_along_axis(state.logits, column, axis=1)[:, 0] - ops.logsumexp(state.logits, axis=-1)
        here = ops.arange(state.tokens.shape[1], dtype="int32")[None] == t
        goes_on, place = ops.logical_not(done), ops.arange(state.history.shape[1], dtype="int32")[None]
        place = ops.logical_and(place == lengths[:, None], goes_on[:, None])
        count = state.count + ops.cast(goes_on, "int32")
        ended = ops.logical_or(is_end(token, rules), count >= controls.row_limit)
        following, cache = engine.advance(state.cache, column, segments_of(controls, column), t)
        return SampleState(
            t=t + 1,
            logits=following[:, 0],
            cache=cache,
            history=ops.where(place, column, state.history),
            tokens=ops.where(here, column, state.tokens),
            done=ops.logical_or(done, ended),
            count=count,
            token_logprobs=ops.where(here, ops.where(done, 0.0, logprob)[:, None], state.token_logprobs),
        )

    return engine.loop(unfinished, step, state)


class SampleRequest(Request):
    """Greedy decoding and sampling."""

    state: SampleState

    def start(self, logits: Any, cache: Cache, tokens: Any) -> SampleState:
        """Return the state before the first token."""
        return sample_start(logits, cache, tokens)

    def controls(self) -> Controls:
        """Return the numbers of the loop."""
        options = self.options
        return self.common_controls()._replace(
            row_limit=np.repeat(self.row_limits, options.rows),
            uniform=() if options.strategy == "greedy" else self._uniform(),
            temperature=np.float32(options.temperature),
            top_p=np.float32(options.top_p or 1),
            min_p=np.float32(options.min_p or 0),
        )

    def _uniform(self) -> np.ndarray:
        """Return (R, N) numbers to sample with: a row's depend on the seed, its prompt and its number alone."""
        seed = np.random.SeedSequence().entropy if self.options.seed is None else self.options.seed
        rows = [
            np.random.default_rng([seed % 2**64, place, number]).random(self.capacity, dtype="float32")
            for place in self.order
            for number in range(self.options.rows)
        ]
        return np.stack(rows)

    def advance(self, step_limit: int) -> None:
        """Run the loop until so many tokens are there or all rows are done."""
        rules, greedy = self.rules, self.options.strategy == "greedy"
        function = self.engine.compiled(
            ("sample", rules, greedy),
            lambda state, controls: sample_loop(self.engine, state, rules, greedy, controls),
        )
        self.state = function(self.state, self.engine.tensors(self.numbers._replace(step_limit=np.int32(step_limit))))

    def finished(self) -> bool:
        """Whether all texts are there: rows are done, or hold a stop text."""
        done = self.numpy("done")
        if not self.options.stops:
            return bool(done.all())
        return all(done[row] or self.stopped(row) for row in range(len(done)))

    def unfinished_rows(self) -> np.ndarray:
        """Return (R,) booleans: which rows are not done."""
        done = self.numpy("done")
        stopped = [bool(self.options.stops) and row in self.cuts for row in range(len(done))]
        return ~(done | np.asarray(stopped))

    def ids(self, row: int) -> list[int]:
        """Return the tokens of a row so far."""
        return self.numpy("tokens")[row, : self.numpy("count")[row]].tolist()

    def stopped(self, row: int) -> bool:
        """Whether the text of a row holds a stop text."""
        return self.cut(self.ids(row), row) is not None

    def finish(self) -> list[list[Generation]]:
        """Run to the end and return the results of each prompt."""
        self.run()
        num_return = self.options.rows
        logprobs, tokens, counts = (self.numpy(name) for name in ("token_logprobs", "tokens", "count"))
        found = [
            self.result(tokens[row, : counts[row]].tolist(), logprobs[row, : counts[row]], row // num_return, row)
            for row in range(len(self.prompts) * num_return)
        ]
        return [found[i : i + num_return] for i in range(0, len(found), num_return)]

    def pieces(self) -> Iterator[str]:
        """Yield the text of the first row piece by piece."""
        sent, longest = "", int(self.row_limits.max())
        for t in range(longest):
            self.constrain(t)
            self.advance(t + 1)
            done = bool(self.numpy("done").all())
            result = self.result(self.ids(0), 0.0, 0, 0)
            last = done or result.finish_reason == "stop" or t + 1 == longest
            text = result.text if last else self._settled(result.text)
            if text.startswith(sent) and len(text) > len(sent):
                yield text[len(sent) :]
                sent = text
            if last:
                return

    def _settled(self, text: str) -> str:
        """Return the beginning of a text that further tokens leave as it is."""
        # A character whose bytes are not all there yet shows as U+FFFD.
        text = text.rstrip("\ufffd")
        # What the last words are joined to may change with the next one ("3" "." "14", "it" "'" "s").
        closed = next((k for k in range(len(text), 0, -1) if _closed(text[k - 1])), 0)
        text = text[: max(closed, text.rfind(" ", 0, max(0, text.rfind(" "))))]
        # A stop text may have begun.
        for stop in self.options.stops:
            for size in range(min(len(stop), len(text)), 0, -1):
                if text.endswith(stop[:size]):
                    text = text[:-size]
                    break
        return text


def _closed(character: str) -> bool:
    """Whether nothing that follows a character changes the text up to it: ideographs and kana, in the main."""
    return "\u3040" <= character <= "\u9fff" or "\uac00" <= character <= "\ud7a3" or ord(character) >= 0x20000
