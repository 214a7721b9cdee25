"""One run of a generator: the loop is called until all texts are there, or token by token where someone looks on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bert4keras2.decoders.logits import LOWEST
from bert4keras2.decoders.options import Options
from bert4keras2.decoders.prompts import Prompt, padded_length

__all__ = ["BeamRun", "SampleRun"]


# After so many tokens the loop stops to look for stop texts.
LOOK = 8


class Run:
    """What sampling and beam search share.

    Args:
        generator: whose engine, tokenizer and end ids are used.
        prompts: of one batch.
        most: max_new_tokens.
        options: checked.
        extra: arrays of the model's additional inputs.
        order: the prompts' places in the list that was asked for, which seeds draw from.
    """

    beams = 0

    def __init__(
        self,
        generator: Any,
        prompts: list[Prompt],
        most: int,
        options: Options,
        extra: list[np.ndarray],
        order: list[int],
    ):
        self.generator, self.engine, self.options = generator, generator.engine, options
        if options.stops and generator.tokenizer is None:
            raise ValueError(
                "stop holds texts, so the Generator needs a tokenizer; for ids pass end_id to the Generator"
            )
        self.size = self.engine.config.rows
        known = self.engine.positions
        left = np.asarray([most if known is None else min(most, known - len(prompt.start)) for prompt in prompts])
        self.most, self.left = most, left.astype("int32")
        self.room = padded_length(int(left.max()))
        self.rules = options.rules(generator.end_ids, self._banned())
        prompter = generator.prompter
        after = prompter.segments_after(prompts)
        self.inputs = {
            "limit": np.repeat(self.left, 1 if self.beams else options.rows),
            "segment": () if after is None else np.repeat(after, options.rows),
            "bias": (),
            "repetition_penalty": np.float32(options.repetition_penalty),
        }
        self.prompts, self.order = prompts, order
        # How many tokens of a row make up its text where a stop text cuts it, and how many were looked at.
        self.cuts: dict[int, int] = {}
        self.looked: dict[int, int] = {}
        lengths = [len(prompt.start) for prompt in prompts]
        self.state = self.engine.start(prompter.arrays(prompts) + extra, lengths, self.room, options.rows, self.beams)

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

    def advance(self, until: int) -> None:
        """Run the loop until so many tokens are there or all rows are done."""
        raise NotImplementedError

    def numpy(self, name: str) -> np.ndarray:
        """Return a tensor of the state as an array."""
        from keras import ops

        return ops.convert_to_numpy(self.state[name])

    def run(self) -> None:
        """Run to the end, stopping after each token to ask the constraint, or now and then to look for stop texts."""
        longest, constraint = int(self.left.max()), self.options.constraint
        span = 1 if constraint is not None else LOOK if self.options.stops and not self.beams else longest
        for t in range(0, longest, span):
            if constraint is not None:
                self.inputs["bias"] = self.constrained(t)
            self.advance(min(t + span, longest))
            if self.over():
                break

    def over(self) -> bool:
        """Whether all texts are there."""
        return bool(self.numpy("done").all())

    def constrained(self, t: int) -> np.ndarray:
        """Return (R, V) with 0 at the tokens that the constraint allows and the lowest score elsewhere."""
        bias = np.zeros((len(self.prompts) * self.options.rows, self.size), "float32")
        going_on = self.going_on()
        for row, ids in enumerate(self.numpy("tokens").reshape(len(bias), -1)[:, :t].tolist()):
            if not going_on[row]:
                continue
            allowed = self.options.constraint(ids)
            if allowed is None:
                continue
            allowed = np.asarray(list(allowed), "int64")
            if not allowed.size:
                allowed = np.asarray(self.rules.end_ids, "int64")
            if not allowed.size or allowed.min() < 0 or allowed.max() >= self.size:
                raise ValueError(
                    f"constraint({ids}) returned {allowed.tolist()}: it returns ids from 0 to {self.size - 1} that may "
                    "come next, None for all, or nothing to end the text (with an end_id)"
                )
            # Below what rules forbid: where the two leave nothing, the constraint is kept.
            bias[row] = 8 * LOWEST
            bias[row, allowed] = 0
        return bias

    def going_on(self) -> np.ndarray:
        """Return (R,) booleans: which rows are not done."""
        return ~self.numpy("done")

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

    def result(self, ids: list[int], score: Any, prompt: int, row: int | None = None) -> Any:
        """Return the `Generation` of the tokens that were decided, the end token among them.

        Args:
            ids: the tokens.
            score: of the text, or the log-probability of each token.
            prompt: number of the prompt.
            row: of the run, if it is always the same text's.
        """
        from bert4keras2.decoders.generator import Generation

        tokenizer = self.generator.tokenizer
        if ids and ids[-1] in self.rules.end_ids:
            ids, reason = ids[:-1], "end"
        elif len(ids) < self.most and len(ids) >= self.left[prompt]:
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


class SampleRun(Run):
    """Greedy decoding and sampling."""

    def __init__(self, *args: Any):
        super().__init__(*args)
        options = self.options
        self.greedy = options.strategy == "greedy"
        self.inputs |= {
            "temperature": np.float32(options.temperature),
            "top_p": np.float32(options.top_p or 1),
            "min_p": np.float32(options.min_p or 0),
            "uniform": () if self.greedy else self._uniform(),
        }

    def _uniform(self) -> np.ndarray:
        """Return (R, N) numbers to draw with: those of a row depend on the seed, its prompt and its number alone."""
        seed = np.random.SeedSequence().entropy if self.options.seed is None else self.options.seed
        rows = [
            np.random.default_rng([seed % 2**64, place, number]).random(self.room, dtype="float32")
            for place in self.order
            for number in range(self.options.rows)
        ]
        return np.stack(rows)

    def advance(self, until: int) -> None:
        """Run the loop until so many tokens are there or all rows are done."""
        inputs = {**self.inputs, "until": np.int32(until)}
        self.state = self.engine.sample(self.state, self.rules, self.greedy, inputs)

    def over(self) -> bool:
        """Whether all texts are there: rows are done, or hold a stop text."""
        done = self.numpy("done")
        if not self.options.stops:
            return bool(done.all())
        return all(done[row] or self.stopped(row) for row in range(len(done)))

    def going_on(self) -> np.ndarray:
        """Return (R,) booleans: which rows are not done."""
        stopped = [bool(self.options.stops) and row in self.cuts for row in range(len(self.numpy("done")))]
        return ~(self.numpy("done") | np.asarray(stopped))

    def ids(self, row: int) -> list[int]:
        """Return the tokens of a row so far."""
        return self.numpy("tokens")[row, : self.numpy("count")[row]].tolist()

    def stopped(self, row: int) -> bool:
        """Whether the text of a row holds a stop text."""
        return self.cut(self.ids(row), row) is not None

    def finish(self) -> list[list[Any]]:
        """Run to the end and return the results of each prompt."""
        self.run()
        gains, times = self.numpy("gains"), self.options.rows
        tokens, counts = self.numpy("tokens"), self.numpy("count")
        found = [
            self.result(tokens[row, : counts[row]].tolist(), gains[row, : counts[row]], row // times, row)
            for row in range(len(self.prompts) * times)
        ]
        return [found[i : i + times] for i in range(0, len(found), times)]

    def pieces(self) -> Iterator[str]:
        """Yield the text of the first row piece by piece."""
        sent, longest = "", int(self.left.max())
        for t in range(longest):
            if self.options.constraint is not None:
                self.inputs["bias"] = self.constrained(t)
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


class BeamRun(Run):
    """Beam search."""

    def __init__(self, generator: Any, prompts: list[Prompt], most: int, options: Options, *args: Any):
        self.beams = options.num_beams
        super().__init__(generator, prompts, most, options, *args)
        self.inputs["length_penalty"] = np.float32(options.length_penalty)

    def going_on(self) -> np.ndarray:
        """Return (R,) booleans: which beams go on, those that break a rule left out."""
        return (~self.numpy("done")[:, None] & (self.numpy("score") > LOWEST / 2)).reshape(-1)

    def advance(self, until: int) -> None:
        """Run the loop until so many tokens are there or all prompts are done."""
        inputs = {**self.inputs, "until": np.int32(until)}
        self.state = self.engine.beam(self.state, self.rules, self.beams, inputs)

    def finish(self) -> list[list[Any]]:
        """Run to the end and return the best results of each prompt, the likeliest first."""
        self.run()
        names = ("kept_tokens", "kept_score", "kept_count", "tokens", "score", "count")
        kept, kept_score, kept_count, tokens, score, counts = (self.numpy(name) for name in names)
        results = []
        for row in range(len(self.prompts)):
            found = [
                (float(kept_score[row, k]), kept[row, k, : kept_count[row, k]].tolist())
                for k in range(self.beams)
                if kept_score[row, k] > LOWEST / 2
            ]
            # Texts that had not ended when the tokens ran out.
            length = int(self.left[row])
            for k in range(self.beams):
                if counts[row] == length and score[row, k] > LOWEST / 2:
                    found.append(
                        (float(score[row, k]) / length**self.options.length_penalty, tokens[row, k, :length].tolist())
                    )
            if not found:
                raise ValueError(
                    "bad_words, constraint, min_length and no_repeat_ngram together leave no text: drop one of them"
                )
            found.sort(key=lambda pair: -pair[0])
            results.append([self.result(ids, value, row) for value, ids in found[: self.options.num_return]])
        return results
