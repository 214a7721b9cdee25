"""Beginnings that many prompts share: read once, and then continued by what is different."""

from __future__ import annotations

from typing import Any

import numpy as np

from bert4keras2.decoders.kv_cache import Cache
from bert4keras2.decoders.prompts import Prompt, Prompter

__all__ = ["PromptPrefix"]


class PromptPrefix:
    """The keys and values of a beginning of prompts, as `Generator.prefix` returns it.

    They belong to the model's weights: each call looks whether those are still the same, which is one pass over them,
    about what one token costs, and reads the beginning anew if not.

    Args:
        engine: of the model.
        prompter: which made the prompt, and makes what follows it.
        prompt: the beginning.

    Attributes:
        ids: its token ids.
        segments: its segment ids; None for a model without.

    Raises:
        ValueError: if the model's states of a beginning depend on what follows it.
    """

    def __init__(self, engine: Any, prompter: Prompter, prompt: Prompt):
        config = engine.config
        if config.stack != "single" or config.application != "lm":
            seen = "an encoder" if config.stack != "single" else f"application={config.application!r}"
            raise ValueError(
                f"A beginning can be kept where no token sees those behind it, and {seen} reads prompts both ways: "
                "build the model with application='lm', or leave prefix out"
            )
        if not config.pairwise or engine.transformer.additional_input_layers:
            raise ValueError(
                "A beginning is kept as keys and values, one for each token, whatever the prompt's other inputs are: "
                "attention of linear cost has none, and additional_input_layers would change them. Leave prefix out"
            )
        self.engine, self.prompter = engine, prompter
        self.ids, self.segments = prompt.ids, prompt.segments
        self._prompt = prompt
        self._kept: tuple[np.ndarray, Cache] | None = None

    def cache(self) -> Cache:
        """Return keys and values (1, H, F, D) of the F tokens under the weights that the model has now."""
        weights = self.engine.fingerprint()
        if self._kept is None or not np.array_equal(self._kept[0], weights):
            # Without padding: what follows stands right behind it, so that a column's number is its position.
            arrays = [np.asarray(array)[:, : len(self.ids)] for array in self.prompter.arrays([self._prompt])]
            self._kept = weights, self.engine.open(arrays, [len(self.ids)], 0)[1]
        return self._kept[1]

    def before(self, text: Any) -> Prompt:
        """Return the prompt of this beginning and a text, whose own start token is left out.

        Raises:
            TypeError, ValueError: as of `Prompter`, and if nothing follows.
        """
        rest = self.prompter(text)
        ids, segments = rest.ids, rest.segments
        if isinstance(text, str) and self.prompter.encode is None and ids[:1] == self.ids[:1] == self._start():
            ids, segments = ids[1:], segments and segments[1:]
        ids, most = [*self.ids, *ids], self.prompter.maxlen
        segments = None if segments is None else [*self.segments, *segments]
        if most is not None:
            ids, segments = ids[:most], segments and segments[:most]
        if len(ids) <= len(self.ids):
            raise ValueError(
                f"Nothing of the text {text!r} follows the prefix of {len(self.ids)} tokens"
                + ("" if most is None else f" (maxlen={most} counts both)")
            )
        return Prompt(ids, segments, prefix=self)

    def _start(self) -> list[int]:
        tokenizer = self.prompter.tokenizer
        return [tokenizer._token_start_id] if getattr(tokenizer, "_token_start", None) is not None else []
