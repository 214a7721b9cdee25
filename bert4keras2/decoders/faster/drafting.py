"""Greedy decoding in which one step of the model verifies several guessed tokens, whole: guesses, loop, request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from bert4keras2.decoders.engine import loop, segments_of
from bert4keras2.decoders.kv_cache import Cache, absent, advance
from bert4keras2.decoders.logits import Controls, LogitsRules, allowed_logits, is_end
from bert4keras2.decoders.sampling import SampleRequest, SampleState, sample_start

__all__ = ["DraftRequest", "DraftState", "draft_loop", "ngram_draft"]

# Shape legend: K guessed tokens, N capacity for new tokens, P padded prompt length, L = P + N, V vocabulary. There is
# one row.

# What followed the last tokens before is copied if so many of them are the same, and longer runs count no more.
SHORTEST, LONGEST = 2, 4


class DraftState(NamedTuple):
    """What one step of the loop hands to the next."""

    sample: SampleState
    calls: Any  # scalar: steps of the model
    source: Any = ()  # (1, S) ids of an encoder's input, which guesses may be copied from
    helper: Any = ()  # Cache of a draft model


# (state with the next token in its history, that token (1,)) -> K or no guesses (1, K), the draft model's cache.
Propose = Callable[[DraftState, Any], tuple[Any, Any]]


def ngram_draft(line: Any, end: Any, count: int) -> tuple[Any, Any]:
    """Guess that what followed the last tokens before follows again (Yang et al., arXiv:2304.04487).

    The longest run of last tokens that stood before counts, of equally long ones the latest. A copy that reaches the
    end of the text begins anew, so that a text that repeats itself is guessed wholly.

    Args:
        line: (L,) ids.
        end: scalar, how many of them there are.
        count: K.

    Returns:
        (K,) ids, and whether there was such a run.
    """
    length = line.shape[0]
    places = ops.arange(length, dtype="int32")
    same, run = places < end, ops.zeros_like(places)
    for k in range(min(LONGEST, length - 1)):
        before = ops.pad(line[: length - k - 1], [[k + 1, 0]], constant_values=-1)  # the token k + 1 before each place
        same = ops.logical_and(same, ops.equal(before, ops.take(line, ops.maximum(end - 1 - k, 0))))
        run = run + ops.cast(same, "int32")
    rank = ops.where(run >= SHORTEST, run * length + places, -1)
    best = ops.cast(ops.argmax(rank), "int32")
    copied = best + ops.arange(count, dtype="int32") % (end - best)
    return ops.take(line, copied), ops.max(rank) >= 0


def by_ngrams(count: int) -> Propose:
    """Return the function that guesses from what the encoder's input and the text hold."""

    def propose(state: DraftState, token: Any) -> tuple[Any, Any]:
        sample = state.sample
        line, end = sample.history, sample.cache.lengths[0] + sample.t + 1
        if not absent(state.source):
            line, end = ops.concatenate([state.source, line], axis=1), end + state.source.shape[1]
        guesses, found = ngram_draft(line[0], end, count)
        # Nothing is compiled on PyTorch, so a step without guesses may be one of a single token there.
        without = keras.backend.backend() == "torch" and not bool(found)
        return ops.expand_dims(guesses[: 0 if without else count], 0), ()

    return propose


def by_model(transformer: Any, count: int, controls: Controls) -> Propose:
    """Return the function that lets a draft model guess (Leviathan et al., arXiv:2211.17192).

    Args:
        transformer: the draft model.
        count: K.
        controls: whose segment ids new tokens have.
    """

    def propose(state: DraftState, token: Any) -> tuple[Any, Any]:
        t = state.sample.t

        def step(values: Any) -> Any:
            k, token, guesses, cache = values
            logits, cache = advance(transformer, cache, token, segments_of(controls, token), t + k)
            token = ops.cast(ops.argmax(logits[:, -1:], axis=-1), "int32")
            here = ops.expand_dims(ops.arange(count + 1, dtype="int32"), 0) == k
            return k + 1, token, ops.where(here, token, guesses), cache

        # One step more than guesses: if all of them stay, the draft model has to have seen the last one.
        start = (ops.zeros((), dtype="int32"), ops.expand_dims(token, 1), ops.zeros((1, count + 1), dtype="int32"))
        _, _, guesses, cache = loop(lambda values: values[0] <= count, step, (*start, state.helper))
        return guesses[:, :count], cache

    return propose


def draft_loop(
    transformer: Any, state: DraftState, rules: LogitsRules, controls: Controls, propose: Propose
) -> DraftState:
    """Choose the likeliest tokens until the text has ended or `step_limit` tokens are there, several at each step.

    A step runs the model on the next token and the guesses behind it. Those that the model would have chosen stay, as
    in Stern et al. (arXiv:1811.03115); what the cache holds of the others is written over by the next step.

    Args:
        transformer: the model.
        state: of one row.
        rules: what limits the choice.
        controls: its numbers.
        propose: what guesses.
    """

    def unfinished(state: DraftState) -> Any:
        sample = state.sample
        return ops.logical_and(sample.t < controls.step_limit, ops.logical_not(ops.all(sample.done)))

    def step(state: DraftState) -> DraftState:
        sample = state.sample
        t, lengths = sample.t, sample.cache.lengths + sample.t
        allowed = allowed_logits(sample.logits, rules, t, sample.history, lengths, controls)
        token = ops.cast(ops.argmax(allowed, axis=-1), "int32")
        begin = (0, lengths[0])
        sample = sample._replace(history=ops.slice_update(sample.history, begin, ops.expand_dims(token, 1)))
        guesses, helper = propose(state._replace(sample=sample), token)
        column = ops.concatenate([ops.expand_dims(token, 1), ops.cast(guesses, "int32")], axis=1)
        history = ops.slice_update(sample.history, begin, column)
        following, cache = advance(transformer, sample.cache, column, segments_of(controls, column), t)
        size = column.shape[1]
        count = 0
        if size > 1:
            places = ops.arange(1, size, dtype="int32")
            seen = ops.broadcast_to(history, (size - 1, history.shape[1]))
            times = ops.expand_dims(t + places, 1)
            allowed = allowed_logits(following[0, :-1], rules, times, seen, lengths + places, controls)
            stays = ops.equal(ops.cast(ops.argmax(allowed, axis=-1), "int32"), column[0, 1:])
            # Nothing follows an end token, or the last token of a text.
            stays = ops.logical_and(stays, ops.logical_not(is_end(column[0, :-1], rules)))
            stays = ops.logical_and(stays, t + places < controls.row_limit[0])
            count = ops.sum(ops.cumprod(ops.cast(stays, "int32")))
        count = ops.cast(count, "int32")
        raw = ops.concatenate([ops.expand_dims(sample.logits, 1), following[:, :-1]], axis=1)
        chosen = ops.take_along_axis(raw, ops.expand_dims(column, 2), axis=2)[:, :, 0]
        end = t + 1 + count
        kept = ops.expand_dims(ops.arange(sample.tokens.shape[1], dtype="int32"), 0) < end

        def written(old: Any, new: Any) -> Any:
            return ops.where(kept, ops.slice_update(old, (0, t), new), ops.zeros_like(old))

        ended = ops.logical_or(is_end(ops.take(column, count, axis=1), rules), end >= controls.row_limit)
        after = SampleState(
            t=end,
            logits=ops.take(following, count, axis=1),
            cache=cache,
            history=history,
            tokens=written(sample.tokens, column),
            done=ended,
            count=ops.ones_like(sample.count) * end,
            token_logprobs=written(sample.token_logprobs, chosen - ops.logsumexp(raw, axis=-1)),
        )
        return state._replace(sample=after, calls=state.calls + 1, helper=helper)

    return loop(unfinished, step, state)


class DraftRequest(SampleRequest):
    """Greedy decoding of one prompt with drafts."""

    state: DraftState

    def __init__(self, generator: Any, prompts: list[Any], max_new_tokens: int, options: Any, *rest: Any):
        if not generator.engine.config.pairwise:
            raise ValueError(
                "A draft needs a cache from which rejected tokens can be taken back, and attention of linear cost "
                "keeps sums of all tokens: drop draft"
            )
        self.helper = None if isinstance(options.draft, str) else options.draft
        if self.helper is not None:
            _check_helper(generator, self.helper, prompts)
        super().__init__(generator, prompts, max_new_tokens, options, *rest)
        if generator.prompter.seq2seq:
            source = ops.convert_to_tensor(generator.prompter.arrays(prompts)[0])
            self.state = self.state._replace(source=source)
        if self.helper is not None:
            self.state = self.state._replace(helper=self._helper_cache())

    def _helper_cache(self) -> Cache:
        """Return the draft model's cache of the prompt."""
        arrays, lengths = self.helper.prompter.arrays(self.prompts), [len(prompt.start) for prompt in self.prompts]
        start = self.helper.engine.start
        return start(arrays, lengths, self.capacity, 1, "helper", lambda logits, cache, tokens: cache)

    def start(self, logits: Any, cache: Cache, tokens: Any) -> DraftState:
        """Return the state before the first token."""
        return DraftState(sample_start(logits, cache, tokens), ops.zeros((), dtype="int32"))

    def advance(self, step_limit: int) -> None:
        """Run the loop until so many tokens are there or the text has ended; the last step may go beyond."""
        rules, count, helper = self.rules, self.options.draft_tokens, self.helper and self.helper.engine

        def function(state: DraftState, controls: Controls) -> DraftState:
            propose = by_ngrams(count) if helper is None else by_model(helper.decoder, count, controls)
            return draft_loop(self.engine.decoder, state, rules, controls, propose)

        run = self.engine.compiled(("draft", rules, count, helper), function, helper)
        self.state = run(self.state, self.engine.tensors(self.numbers._replace(step_limit=np.int32(step_limit))))

    def numpy(self, name: str) -> np.ndarray:
        """Return a tensor of the text's state as an array."""
        return ops.convert_to_numpy(getattr(self.state.sample, name))


def _check_helper(generator: Any, helper: Any, prompts: list[Any]) -> None:
    """Raise a ValueError that says why a draft model cannot guess for a generator."""
    own, other = generator.engine.config, helper.engine.config
    what = {
        "vocabulary": (own.rows, other.rows),
        "stacks": (own.stack, other.stack),
        "application": (own.application, other.application),
        "segment ids": (bool(own.segment_vocab_size), bool(other.segment_vocab_size)),
    }
    for name, (mine, theirs) in what.items():
        if mine != theirs:
            raise ValueError(
                f"The draft model's {name} is {theirs!r}, but the model's is {mine!r}: a draft model reads the same "
                "prompts and writes the same ids"
            )
    if not other.pairwise or helper.engine.transformer.additional_input_layers:
        raise ValueError("A draft model has attention of pairs of tokens and no additional inputs")
    known, longest = helper.engine.positions, max(len(prompt.ids) for prompt in prompts)
    if known is not None and longest >= known:
        raise ValueError(f"The prompt has {longest} tokens, but the draft model knows {known} positions: shorten it")
