"""One request to a generator: the loop runs until all texts are there, or token by token where someone looks on."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from keras import ops

from bert4keras2.decoders.kv_cache import Cache
from bert4keras2.decoders.logits import LOWEST, Controls
from bert4keras2.decoders.options import Options
from bert4keras2.decoders.prompts import Prompt, padded_length, past_of

__all__ = ["Generation", "Request"]

# After so many tokens the loop stops to look for stop texts.
LOOK = 8


@dataclasses.dataclass(frozen=True)
class Generation:
    """One generated text.

    Args:
        text: what was generated, without prompt and end token; None without a tokenizer.
        ids: its token ids, without the end token.
        score: sum of the tokens' log-probabilities under the model, the end token among them; for beam search
            divided by length ** length_penalty.
        finish_reason: "end" (an end token), "stop" (a stop text or the callback), "length" (max_new_tokens) or
            "positions" (the model knows no further ones).
    """

    text: str | None
    ids: list[int]
    score: float
    finish_reason: str


class Request:
    """What sampling and beam search share.

    Args:
        generator: whose engine, tokenizer and end ids are used.
        prompts: of one batch.
        max_new_tokens: most tokens of each text.
        options: checked.
        extra: arrays of the model's additional inputs.
        order: the prompts' places in the list that was asked for, which seeds sample from.
    """

    def __init__(
        self,
        generator: Any,
        prompts: list[Prompt],
        max_new_tokens: int,
        options: Options,
        extra: list[np.ndarray],
        order: list[int],
    ):
        self.generator, self.engine, self.options = generator, generator.engine, options
        if options.stops and generator.tokenizer is None:
            raise ValueError(
                "stop holds texts, so the Generator needs a tokenizer; for ids pass end_id to the Generator"
            )
        self.prompts, self.order, self.max_new_tokens = prompts, order, max_new_tokens
        known = self.engine.positions
        lengths = [len(prompt.start) for prompt in prompts]
        limits = [max_new_tokens if known is None else min(max_new_tokens, known - length) for length in lengths]
        self.row_limits = np.asarray(limits, "int32")  # (number of prompts,)
        # A draft is written behind the text before it is known how much of it stays.
        ahead = 0 if options.draft is None else options.draft_tokens
        self.capacity = padded_length(int(self.row_limits.max()) + ahead)
        self.rules = options.rules(generator.end_ids, self._banned())
        self.numbers = self.controls()
        # How many tokens of a row make up its text where a stop text cuts it, and how many were looked at.
        self.cuts: dict[int, int] = {}
        self.looked: dict[int, int] = {}
        arrays = [*generator.prompter.arrays(prompts), *extra]
        kind = (type(self).__name__, options.num_beams if options.strategy == "beam" else 0)
        past = past_of(prompts)
        self.state: Any = self.engine.start(arrays, lengths, self.capacity, options.rows, kind, self.start, past)

    # -- what the strategies define ----------------------------------------------------------------------------

    def start(self, logits: Any, cache: Cache, tokens: Any) -> Any:
        """Return the state of the loop before the first token; compiled together with the prefill."""
        raise NotImplementedError

    def controls(self) -> Controls:
        """Return the numbers of the loop, but for `step_limit`."""
        raise NotImplementedError

    def advance(self, step_limit: int) -> None:
        """Run the loop until so many tokens are there or all rows are done."""
        raise NotImplementedError

    def finish(self) -> list[list[Generation]]:
        """Run to the end and return the results of each prompt."""
        raise NotImplementedError

    def unfinished_rows(self) -> np.ndarray:
        """Return (R,) booleans: which rows go on."""
        raise NotImplementedError

    # -- what they share ---------------------------------------------------------------------------------------

    def common_controls(self) -> Controls:
        """Return the numbers that both strategies need."""
        after = self.generator.prompter.segments_after(self.prompts)
        return Controls(
            step_limit=np.int32(0),
            row_limit=self.row_limits,
            segment=() if after is None else np.repeat(after, self.options.rows),
            repetition_penalty=np.float32(self.options.repetition_penalty),
        )

    def _banned(self) -> tuple[tuple[int, ...], ...]:
        """Return the ids of each of bad_words."""
        tokenizer = self.generator.tokenizer
        found = []
        for word in self.options.bad_words:
            if isinstance(word, str):
                if tokenizer is None:
                    raise TypeError("bad_words as texts need a tokenizer; pass lists of ids")
                word = tokenizer.tokens_to_ids(tokenizer._tokenize(word))
            if not len(word):
                raise ValueError(f"bad_words holds an entry without tokens: {self.options.bad_words!r}")
            found.append(tuple(int(i) for i in word))
        return tuple(found)

    def numpy(self, name: str) -> np.ndarray:
        """Return a tensor of the state as an array."""
        return ops.convert_to_numpy(getattr(self.state, name))

    def run(self) -> None:
        """Run to the end, stopping after each token to ask the constraint, or now and then to look for stop texts."""
        longest, options = int(self.row_limits.max()), self.options
        looks = bool(options.stops) and options.strategy != "beam"
        span = 1 if options.constraint is not None else LOOK if looks else longest
        for t in range(0, longest, span):
            self.constrain(t)
            self.advance(min(t + span, longest))
            if self.finished():
                break

    def finished(self) -> bool:
        """Whether all texts are there."""
        return bool(self.numpy("done").all())

    def constrain(self, t: int) -> None:
        """Ask the constraint, if there is one, what may follow the t tokens of each row."""
        if self.options.constraint is None:
            return
        size = self.engine.config.rows
        bias = np.zeros((len(self.prompts) * self.options.rows, size), "float32")
        unfinished = self.unfinished_rows()
        for row, ids in enumerate(self.numpy("tokens").reshape(len(bias), -1)[:, :t].tolist()):
            if not unfinished[row]:
                continue
            allowed = self.options.constraint(ids)
            if allowed is None:
                continue
            allowed = np.asarray(list(allowed), "int64")
            if not allowed.size:
                allowed = np.asarray(self.rules.end_ids, "int64")
            if not allowed.size or allowed.min() < 0 or allowed.max() >= size:
                raise ValueError(
                    f"constraint({ids}) returned {allowed.tolist()}: it returns ids from 0 to {size - 1} that may "
                    "come next, None for all, or nothing to end the text (with an end_id)"
                )
            # Below what rules forbid: where the two leave nothing, the constraint is kept.
            bias[row] = 8 * LOWEST
            bias[row, allowed] = 0
        self.numbers = self.numbers._replace(bias=bias)

    def cut(self, ids: list[int], row: int | None = None) -> int | None:
        """Return how many of the ids it takes until their text holds a stop text, None if it never does.

        Args:
            ids: tokens, without an end token.
            row: whose ids they are, so that they are looked at only once while they become more.
        """
        if row in self.cuts:
            return self.cuts[row]
        decode = self.generator.tokenizer.decode
        for count in range(self.looked.get(row, 0) + 1, len(ids) + 1):
            text = decode(ids[:count])
            if any(stop in text for stop in self.options.stops):
                if row is not None:
                    self.cuts[row] = count
                return count
        if row is not None:
            self.looked[row] = len(ids)
        return None

    def result(self, ids: list[int], score: Any, prompt: int, row: int | None = None) -> Generation:
        """Return the `Generation` of the tokens that were decided, the end token among them.

        Args:
            ids: the tokens.
            score: of the text, or the log-probability of each token.
            prompt: number of the prompt.
            row: of the request, if it is always the same text's.
        """
        tokenizer = self.generator.tokenizer
        if ids and ids[-1] in self.rules.end_ids:
            ids, reason = ids[:-1], "end"
        elif len(ids) < self.max_new_tokens and len(ids) >= self.row_limits[prompt]:
            reason = "positions"
        else:
            reason = "length"
        count = self.cut(ids, row) if self.options.stops else None
        if count is not None:
            ids, reason = ids[:count], "stop"
            score = score[:count] if np.ndim(score) else score
        text = None if tokenizer is None else tokenizer.decode(ids)
        if count is not None:
            text = text[: min(place for place in map(text.find, self.options.stops) if place >= 0)]
        return Generation(text, ids, float(np.sum(score, dtype="float64")), reason)
