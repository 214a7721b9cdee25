"""From texts to the arrays that a generating model starts from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["Prompt", "Prompter", "padded_length", "past_of"]

# Prompts are padded to multiples of this, so that compiled programs serve many lengths.
MULTIPLE = 16


def padded_length(length: int, multiple: int = MULTIPLE) -> int:
    """Return the length that an array of `length` places is padded to."""
    return max(multiple, -(-length // multiple) * multiple)


class Prompt:
    """One prompt: token ids, segment ids, and for an encoder-decoder the ids that the decoder starts from.

    Args:
        ids: what the model reads first.
        segments: one for each id; None for a model without.
        answer: ids that the decoder starts from, at least one; None for a model of one stack.
        prefix: the `PromptPrefix` that the ids begin with, the same one in all prompts of a batch.
    """

    def __init__(self, ids: list[int], segments: list[int] | None, answer: list[int] | None = None, prefix: Any = None):
        self.ids, self.segments, self.answer, self.prefix = ids, segments, answer, prefix

    @property
    def start(self) -> list[int]:
        """The ids whose continuation is generated."""
        return self.ids if self.answer is None else self.answer


def past_of(prompts: list[Prompt]) -> Any:
    """Return the cache of what the prompts of a batch begin with, () if nothing of them was read before."""
    return () if prompts[0].prefix is None else prompts[0].prefix.cache()


class Prompter:
    """Makes prompts of texts as a model of a kind was trained to read them.

    Args:
        config: the model's configuration. "unilm": the whole encoded text in segment 0, what follows in segment 1.
            "lm": the encoded text without its end token. Encoder-decoder: the encoded text, and a start token for the
            decoder.
        tokenizer: with `encode`; None if all prompts come as ids.
        maxlen: longest prompt in tokens; longer texts are cut. None for no limit.
        start_id: what a decoder starts from; the tokenizer's start token, or 0 (T5) if it has none.
        segment: segment id of generated tokens; 1 for "unilm", otherwise that of the prompt's last token.
        prompt: function from a text to ids or (ids, segments), instead of the tokenizer's `encode`.
    """

    def __init__(
        self,
        config: Any,
        tokenizer: Any = None,
        maxlen: int | None = None,
        start_id: int | None = None,
        segment: int | None = None,
        prompt: Callable[[Any], Any] | None = None,
    ):
        self.config, self.tokenizer, self.maxlen, self.segment = config, tokenizer, maxlen, segment
        self.encode = prompt
        self.seq2seq = config.stack == "seq2seq"
        if start_id is None and self.seq2seq:
            start_id = getattr(tokenizer, "_token_start_id", None) if getattr(tokenizer, "_token_start", None) else 0
        self.start_id = start_id

    def __call__(self, text: Any) -> Prompt:
        """Return the prompt of a text, of a list of ids, or of a tuple (ids, segments).

        Raises:
            TypeError: for anything else, or a text without a tokenizer.
            ValueError: for a prompt without tokens.
        """
        ids, segments = self._encoded(text)
        ids = [int(i) for i in ids]
        if not ids:
            raise ValueError(
                f"The prompt {text!r} has no tokens: pass a text, or at least one token to start from (ids such as "
                "[tokenizer._token_start_id])"
            )
        segments = [0] * len(ids) if segments is None else [int(i) for i in segments]
        if len(segments) != len(ids):
            raise ValueError(f"A prompt has {len(ids)} ids and {len(segments)} segment ids: give one for each")
        if self.maxlen is not None:
            ids, segments = ids[: self.maxlen], segments[: self.maxlen]
        return Prompt(
            ids, segments if self.config.segment_vocab_size else None, self.answer() if self.seq2seq else None
        )

    def answer(self) -> list[int]:
        """Return the ids that a decoder starts from."""
        return [self.start_id]

    def _encoded(self, text: Any) -> tuple[Any, Any]:
        if self.encode is not None:
            found = self.encode(text)
            return found if isinstance(found, tuple) else (found, None)
        if isinstance(text, str):
            if self.tokenizer is None:
                raise TypeError("A text needs a tokenizer: Generator(model, tokenizer), or pass the prompt's ids")
            ids, segments = self.tokenizer.encode(text, maxlen=self.maxlen)
            if self.config.stack == "single" and self.config.application == "lm":
                # What goes on has not ended.
                end = getattr(self.tokenizer, "_token_end", None) and self.tokenizer._token_end_id
                if ids and ids[-1] == end:
                    ids, segments = ids[:-1], segments[:-1]
            return ids, segments
        if isinstance(text, tuple) and len(text) == 2 and hasattr(text[0], "__len__"):
            return text
        if isinstance(text, list | np.ndarray | tuple) and all(isinstance(i, int | np.integer) for i in text):
            return text, None
        raise TypeError(f"A prompt is a text, a list of ids or a tuple (ids, segments), not {text!r}")

    def arrays(self, prompts: list[Prompt]) -> list[np.ndarray]:
        """Return the model's inputs (R, P) for prompts, padded at the end."""
        # A table whose size is no multiple of 16 ends before the padding would.
        most = self.config.positions
        first = [_padded([prompt.ids for prompt in prompts], most=most, pad_id=self.config.pad_id)]
        if self.config.segment_vocab_size:
            first.append(_padded([prompt.segments for prompt in prompts], most=most))
        if self.seq2seq:
            first.append(_padded([prompt.answer for prompt in prompts], multiple=1))
        if self.config.custom_position_ids:
            first.append(np.tile(np.arange(first[0].shape[1], dtype="int32"), (len(prompts), 1)))
        return first

    def segments_after(self, prompts: list[Prompt]) -> np.ndarray | None:
        """Return (R,) segment ids of what follows, None for a model without."""
        if not self.config.segment_vocab_size:
            return None
        if self.segment is not None:
            return np.full(len(prompts), self.segment, "int32")
        if self.config.application == "unilm":
            return np.ones(len(prompts), "int32")
        return np.asarray([prompt.segments[-1] for prompt in prompts], "int32")


def _padded(rows: list[list[int]], multiple: int = MULTIPLE, most: int | None = None, pad_id: int = 0) -> np.ndarray:
    longest = max(len(row) for row in rows)
    width = padded_length(longest, multiple) if multiple > 1 else longest
    width = width if most is None else max(longest, min(width, most))
    array = np.full((len(rows), width), pad_id, "int32")
    for target, row in zip(array, rows, strict=True):
        target[: len(row)] = row
    return array
