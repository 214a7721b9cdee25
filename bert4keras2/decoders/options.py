"""How a text is generated."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Sequence
from typing import Any

from bert4keras2.arguments import whole_number
from bert4keras2.decoders.logits import LogitsRules

__all__ = ["Options"]

STRATEGIES = ("greedy", "sample", "beam")


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of `Generator.generate`.

    Args:
        strategy: "greedy" (always the likeliest token), "sample" or "beam".
        num_beams: beams of a beam search.
        num_return: results for each prompt; samples of one prompt share its prefill.
        top_k: draw from the k likeliest tokens; None for all.
        top_p: draw from the fewest tokens that reach this probability together (arXiv:1904.09751).
        min_p: draw from tokens with at least this share of the likeliest one's probability (arXiv:2407.01082).
        temperature: divides scores before drawing; below 1 sharpens.
        repetition_penalty: above 1 makes tokens of prompt and text less likely (arXiv:1909.05858).
        no_repeat_ngram: never repeat a run of so many tokens, prompt included; 0 for no such rule.
        min_length: no end token before so many tokens.
        length_penalty: beam search ranks by log-probability / length ** length_penalty.
        bad_words: texts (or lists of ids) that must not appear.
        constraint: function (list of ids so far) -> ids that may come next (None: all), called for each row at each
            step; it ends the compiled loop after every token.
        seed: of drawing; results of a prompt depend on it and on the prompt's place in the list alone, not on the
            backend or the batch. None: another one for each call.
        stop: texts that end the result, which is cut before them.
        draft: where guesses of the next tokens come from, several of which one step of the model then verifies: "ngram"
            copies what followed the last tokens where they stood before, a smaller `Generator` of the same vocabulary
            writes them. The text is that of greedy decoding; prompts run one by one.
        draft_tokens: how many tokens are guessed at a time.
    """

    strategy: str = "greedy"
    num_beams: int = 4
    num_return: int = 1
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    temperature: float = 1.0
    repetition_penalty: float = 1.0
    no_repeat_ngram: int = 0
    min_length: int = 0
    length_penalty: float = 0.0
    bad_words: Sequence[Any] = ()
    constraint: Callable[[list[int]], Sequence[int] | None] | None = None
    seed: int | None = None
    stop: str | Sequence[str] = ()
    draft: Any = None
    draft_tokens: int = 4

    @classmethod
    def of(cls, given: dict[str, Any]) -> Options:
        """Return checked options from keyword arguments.

        Raises:
            TypeError: for a name that is no option.
            ValueError: as `checked`, and for num_beams and draft_tokens where there are no beams and no draft.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        for name in given:
            if name not in names:
                near = difflib.get_close_matches(name, names, 1, 0.5)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise TypeError(f"There is no option {name!r}.{hint} The options are {', '.join(names)}")
        chosen = cls(**given).checked()
        if "num_beams" in given and chosen.strategy != "beam":
            raise ValueError(f"num_beams is for strategy='beam', not {chosen.strategy!r}")
        if "draft_tokens" in given and chosen.draft is None:
            raise ValueError("draft_tokens is for draft='ngram' or a draft model, and there is no draft")
        return chosen

    @property
    def rows(self) -> int:
        """How many rows a prompt takes."""
        return self.num_beams if self.strategy == "beam" else self.num_return

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop texts."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)

    def checked(self) -> Options:
        """Return these options.

        Raises:
            ValueError: if one of them cannot be, or says something that the strategy does not hear.
        """
        if self.strategy not in STRATEGIES:
            raise ValueError(f"strategy is one of {', '.join(STRATEGIES)}, not {self.strategy!r}")
        for name, least in (
            ("num_beams", 1),
            ("num_return", 1),
            ("no_repeat_ngram", 0),
            ("min_length", 0),
            ("draft_tokens", 1),
        ):
            whole_number(name, getattr(self, name), least)
        if self.top_k is not None and (not isinstance(self.top_k, int) or self.top_k < 1):
            raise ValueError(f"top_k is a whole number from 1 on, or None for all tokens, not {self.top_k!r}")
        for name in ("top_p", "min_p"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise ValueError(f"{name} is a share above 0 and up to 1, not {value!r}")
        for name in ("temperature", "repetition_penalty"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is above 0, not {getattr(self, name)!r}")
        if self.strategy == "beam" and self.num_return > self.num_beams:
            raise ValueError(
                f"num_return {self.num_return} is more than the {self.num_beams} beams that a search keeps: raise "
                "num_beams"
            )
        if self.strategy == "greedy" and self.num_return > 1:
            raise ValueError("Greedy decoding has one result: take strategy='sample' or 'beam' for num_return above 1")
        drawing = [name for name in ("top_k", "top_p", "min_p") if getattr(self, name) is not None]
        drawing += ["temperature"] if self.temperature != 1 else []
        if self.strategy != "sample" and drawing:
            raise ValueError(f"{drawing[0]} is for strategy='sample', not {self.strategy!r}")
        if self.strategy != "beam" and self.length_penalty != 0:
            raise ValueError(f"length_penalty is for strategy='beam', not {self.strategy!r}")
        if self.draft is not None:
            self._check_draft()
        if any(not isinstance(text, str) or not text for text in self.stops):
            raise ValueError(f"stop holds texts that are not empty, not {self.stop!r}")
        return self

    def _check_draft(self) -> None:
        if not (isinstance(self.draft, str) and self.draft == "ngram") and not hasattr(self.draft, "prompter"):
            raise ValueError(f"draft is 'ngram', a Generator of a smaller model, or None, not {self.draft!r}")
        if self.strategy != "greedy":
            raise ValueError(
                f"A draft is verified against greedy decoding: draft is for strategy='greedy', not {self.strategy!r}"
            )
        if self.constraint is not None:
            raise ValueError("constraint is asked after each token, and a draft holds several: drop one of them")

    def rules(self, end_ids: tuple[int, ...], banned: tuple[tuple[int, ...], ...]) -> LogitsRules:
        """Return what of these options is part of a compiled program."""
        return LogitsRules(
            end_ids=end_ids,
            top_k=self.top_k or 0,
            use_top_p=self.top_p is not None and self.top_p < 1,
            use_min_p=self.min_p is not None,
            use_penalty=self.repetition_penalty != 1,
            ngram=self.no_repeat_ngram,
            min_length=self.min_length,
            banned=banned,
        )
