"""Dialogues of several turns with NEZHA-GPT and CDial-GPT."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

__all__ = ["Dialogue", "dialogue_prompt"]

STYLES = ("segments", "speakers")


def dialogue_prompt(
    tokenizer: Any,
    turns: Sequence[str],
    style: str = "segments",
    maxlen: int | None = None,
    speakers: Sequence[str] = ("[speaker1]", "[speaker2]"),
    reply: bool = True,
) -> tuple[list[int], list[int]]:
    """Return what a dialogue model reads before its next reply, or what it is trained on.

    The first turn kept is always the first speaker's, as in training, so dropping old turns may swap the roles' ids.

    Args:
        tokenizer: of the model.
        turns: what was said, the oldest first, two speakers by turns.
        style: "segments" (NEZHA-GPT, kexue.fm/archives/7718): [CLS] a [SEP] b [SEP], segments 0 and 1 by turns, each
            [SEP] with its turn. "speakers" (CDial-GPT, arXiv:2008.03946): [CLS] [speaker1] a [speaker2] b, where the
            segment of a token is the *id* of its speaker's token, and that of [CLS] its own id.
        maxlen: most tokens; the oldest turns are dropped, of a last turn too long by itself its beginning. None for
            no limit.
        speakers: the two speaker tokens of style "speakers".
        reply: whether a reply is to follow; style "speakers" then ends with the next speaker's token, otherwise
            with [SEP]. Style "segments" is the same either way.

    Returns:
        (ids, segments), of the same length.

    Raises:
        TypeError: if turns is one str or holds something else.
        ValueError: without turns, for an unknown style, missing tokens, or a maxlen without room for a token.
    """
    if style not in STYLES:
        raise ValueError(f"style is 'segments' (NEZHA-GPT) or 'speakers' (CDial-GPT), not {style!r}")
    if isinstance(turns, str) or any(not isinstance(turn, str) for turn in turns):
        raise TypeError("turns is a list of str, the oldest turn first")
    if not turns:
        raise ValueError("A dialogue has at least one turn before a reply")
    start, end = tokenizer._token_start_id, tokenizer._token_end_id
    names = speaker_ids(tokenizer, speakers) if style == "speakers" else [0, 1]
    bodies = [tokenizer.tokens_to_ids(tokenizer._tokenize(turn)) for turn in turns]
    if maxlen is not None:
        # Each turn has a token of its own; besides there is [CLS], and with speakers one token at the end.
        room = maxlen - (2 if style == "speakers" else 1)
        if room < 2:
            raise ValueError(f"maxlen={maxlen} leaves no room for a turn: at least 4")
        while len(bodies) > 1 and sum(len(body) + 1 for body in bodies) > room:
            bodies = bodies[1:]
        if len(bodies) == 1:
            bodies = [bodies[0][-(room - 1) :]]
    ids, segments = [start], [start if style == "speakers" else names[0]]
    for number, body in enumerate(bodies):
        name = names[number % 2]
        ids += [name, *body] if style == "speakers" else [*body, end]
        segments += [name] * (len(body) + 1)
    if style == "speakers":
        following = names[len(bodies) % 2]
        ids.append(following if reply else end)
        segments.append(following if reply else segments[-1])
    return ids, segments


def speaker_ids(tokenizer: Any, speakers: Sequence[str]) -> list[int]:
    """Return the ids of two speaker tokens.

    Raises:
        ValueError: if there are not two of them in the vocabulary.
    """
    found = [tokenizer.token_to_id(token) for token in speakers]
    unknown = tokenizer._token_unk_id
    if len(found) != 2 or len(set(found)) != 2 or unknown in found:
        raise ValueError(
            f"speakers are two tokens of the vocabulary, not {tuple(speakers)}: CDial-GPT's vocabulary has [speaker1] "
            "and [speaker2]; for a model with segments 0 and 1 pass style='segments'"
        )
    return found


class Dialogue:
    """A talk with a dialogue model, which sees what was said before.

    Args:
        generator: a `Generator` of a model with application "lm" and a tokenizer.
        style: "segments" (NEZHA-GPT) or "speakers" (CDial-GPT, where a speaker's token ends a reply too), see
            `dialogue_prompt`; None: "speakers" for a model whose segments share the embeddings of tokens, otherwise
            "segments".
        maxlen: most tokens of history and reply together; old turns are left out of what the model reads, not out of
            `history`. The model's positions set a limit too.
        max_new_tokens: most tokens of a reply.
        speakers: the two speaker tokens of style "speakers".
        **options: of `Generator.generate`; strategy="sample" and top_k=5 by default. A seed is counted on with the
            turns, so that the same words may get another answer later.

    Attributes:
        history: what was said, a list of str to read and to change; the last turn but one is yours.

    Raises:
        TypeError: if the generator has no tokenizer.
        ValueError: if style, maxlen or speakers cannot be.
    """

    def __init__(
        self,
        generator: Any,
        style: str | None = None,
        maxlen: int = 512,
        max_new_tokens: int = 32,
        speakers: Sequence[str] = ("[speaker1]", "[speaker2]"),
        **options: Any,
    ):
        config, positions = generator.engine.config, generator.engine.positions
        if generator.tokenizer is None:
            raise TypeError("A dialogue consists of texts, so the Generator needs a tokenizer")
        if style is None:
            style = "speakers" if config.shared_segment_embeddings else "segments"
        if style not in STYLES:
            raise ValueError(f"style is 'segments' (NEZHA-GPT) or 'speakers' (CDial-GPT), not {style!r}")
        if style == "speakers":
            speaker_ids(generator.tokenizer, speakers)
        self.maxlen = maxlen if positions is None else min(maxlen, positions)
        if self.maxlen - max_new_tokens < 4:
            raise ValueError(
                f"{self.maxlen} tokens for history and reply (maxlen, or the model's positions) with max_new_tokens="
                f"{max_new_tokens} leave less than 4 for the history"
            )
        self.generator, self.style, self.speakers = generator, style, tuple(speakers)
        self.max_new_tokens = max_new_tokens
        if "strategy" not in options and not any(name in options for name in ("top_k", "top_p", "min_p")):
            options["top_k"] = 5
        self.options = {"strategy": "sample", **options}
        self.history: list[str] = []

    def say(self, text: str, **options: Any) -> str:
        """Say something and return the reply; both are added to the history.

        Args:
            text: your turn.
            **options: of `Generator.generate`, instead of the dialogue's for this reply.

        Raises:
            TypeError: if the text is not a str.
            ValueError: if it is blank.
        """
        if not isinstance(text, str):
            raise TypeError(f"text is a str, not {type(text).__name__}")
        if not text.strip():
            raise ValueError("text is blank: say something")
        turns = [*self.history, text]
        options = {"max_new_tokens": self.max_new_tokens, **self.options, **options}
        if options.get("seed") is not None:
            options["seed"] += len(self.history)
        ids, segments = dialogue_prompt(
            self.generator.tokenizer, turns, self.style, self.maxlen - options["max_new_tokens"], self.speakers
        )
        # The reply is the other speaker's; where a speaker's token ends the prompt, its segment goes on.
        segment = segments[-1] if self.style == "speakers" else 1 - segments[-1]
        ends = speaker_ids(self.generator.tokenizer, self.speakers) if self.style == "speakers" else []
        reply = _adapted(self.generator, segment, ends).generate((ids, segments), **options)
        reply = reply[0] if isinstance(reply, list) else reply
        self.history = [*turns, reply.text]
        return reply.text

    def reset(self) -> None:
        """Forget what was said."""
        self.history = []


def _adapted(generator: Any, segment: int, ends: list[int]) -> Any:
    """Return a generator of replies; it shares the model and what was compiled for it.

    Args:
        generator: to be left as it is.
        segment: segment id of the reply.
        ends: ids that end a reply too: where a speaker's token comes next, someone else speaks.
    """
    generator = copy.copy(generator)
    generator.end_ids = (*generator.end_ids, *(i for i in ends if i not in generator.end_ids))
    generator.prompter = copy.copy(generator.prompter)
    generator.prompter.segment, generator.prompter.encode, generator.prompter.maxlen = segment, None, None
    return generator
