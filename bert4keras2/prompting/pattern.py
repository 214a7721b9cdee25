"""Patterns that texts stand in, and the words that labels are called by (PET, arXiv:2001.07676)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["Pattern", "Verbalizer", "bare_ids"]

_PARTS = re.compile(r"(\{\w*\}|\[MASK\])")


def bare_ids(tokenizer: Any, text: str) -> list[int]:
    """Return the ids of a text without the tokens that begin and end it."""
    ids = list(tokenizer.encode(text)[0])
    if ids and ids[0] == tokenizer.start_id:
        ids = ids[1:]
    return ids[:-1] if ids and ids[-1] == tokenizer.end_id else ids


class Pattern:
    """A sentence with blanks around a text, such as "[MASK]满意。{text}".

    Args:
        form: {text} is the text, {second} the second one of a pair, each [MASK] a hidden token.

    Raises:
        ValueError: if there is no {text} or no [MASK], one comes twice, or another name stands in braces.
    """

    def __init__(self, form: str):
        self.form = form
        self.parts = [part for part in _PARTS.split(form) if part]
        braces = [part for part in self.parts if part.startswith("{")]
        unknown = [part for part in braces if part not in ("{text}", "{second}")]
        if unknown or braces.count("{text}") != 1 or braces.count("{second}") > 1:
            raise ValueError(
                f"a pattern has {{text}} once, and {{second}} for pairs, not {unknown or braces or 'nothing'}: {form!r}"
            )
        if "[MASK]" not in self.parts:
            raise ValueError(f"a pattern has one [MASK] for each token of a label's word: {form!r} has none")

    @property
    def blanks(self) -> int:
        """How many tokens are hidden."""
        return self.parts.count("[MASK]")

    @property
    def pairs(self) -> bool:
        """Whether the pattern holds two texts."""
        return "{second}" in self.parts

    def encode(
        self, tokenizer: Any, text: str, second: str | None = None, maxlen: int = 128
    ) -> tuple[list[int], list[int]]:
        """Return the ids of the pattern around a text, and the places of what is hidden; texts lose their ends.

        Args:
            tokenizer: of the model, with a [MASK].
            text: the text.
            second: the second one, where the pattern has it.
            maxlen: longest row.

        Raises:
            ValueError: if the tokenizer has no [MASK], a text is missing or too many, or nothing of it is left.
        """
        if tokenizer.mask_id is None:
            raise ValueError(f"a pattern hides tokens, and the {type(tokenizer).__name__} has no [MASK]")
        if (second is None) == self.pairs:
            raise ValueError(f"{self.form!r} {'needs' if self.pairs else 'has no place for'} a second text")
        pieces: list[Any] = [
            [tokenizer.mask_id] if part == "[MASK]" else part if part.startswith("{") else bare_ids(tokenizer, part)
            for part in self.parts
        ]
        texts = {"{text}": bare_ids(tokenizer, text)}
        if second is not None:
            texts["{second}"] = bare_ids(tokenizer, second)
        room = maxlen - 2 - sum(len(piece) for piece in pieces if not isinstance(piece, str))
        if room < len(texts):
            raise ValueError(f"maxlen={maxlen} leaves no room for a text in {self.form!r}")
        while sum(map(len, texts.values())) > room:
            longest = max(texts, key=lambda name: len(texts[name]))
            others = sum(map(len, texts.values())) - len(texts[longest])
            # At once down to the other's length, then in turn.
            texts[longest] = texts[longest][: max(room - others, min(len(texts[longest]) - 1, others))]
        ids, places = [tokenizer.start_id], []
        for part, piece in zip(self.parts, pieces, strict=True):
            if part == "[MASK]":
                places.append(len(ids))
            ids += texts[piece] if isinstance(piece, str) else piece
        return [*ids, tokenizer.end_id], places

    def __repr__(self) -> str:
        return f"Pattern({self.form!r})"


class Verbalizer:
    """What labels are called in a pattern.

    Args:
        words: {label: its word, or several that are as good}; each has as many tokens as the pattern has [MASK].

    Raises:
        ValueError: if there are fewer than two labels, or one has no word.
    """

    def __init__(self, words: Mapping[str, str | Sequence[str]]):
        self.words = {str(label): [one] if isinstance(one, str) else list(one) for label, one in words.items()}
        if len(self.words) < 2 or not all(all(one) and one for one in self.words.values()):
            raise ValueError(f"a verbalizer gives each of at least two labels a word, not {dict(words)!r:.200}")

    @property
    def labels(self) -> list[str]:
        """The labels, in their order."""
        return list(self.words)

    def ids(self, tokenizer: Any, blanks: int) -> list[np.ndarray]:
        """Return for each label the (words, blanks) ids of its words.

        Args:
            tokenizer: of the model.
            blanks: tokens that the pattern hides.

        Raises:
            ValueError: if a word has another number of tokens, or one that the vocabulary does not have.
        """
        found = []
        for label, words in self.words.items():
            rows = [bare_ids(tokenizer, word) for word in words]
            for word, row in zip(words, rows, strict=True):
                if len(row) != blanks:
                    raise ValueError(
                        f"the word {word!r} of label {label!r} has {len(row)} tokens, and the pattern {blanks} [MASK]"
                    )
                if tokenizer.unk_id in row:
                    raise ValueError(f"the word {word!r} of label {label!r} is not in the vocabulary of the model")
            found.append(np.array(rows, "int64"))
        return found

    def scores(self, scores: np.ndarray, ids: list[np.ndarray]) -> np.ndarray:
        """Return the logarithms of the labels' probabilities among each other.

        A word has the product of the probabilities of its tokens, a label the mean of its words.

        Args:
            scores: (N, blanks, V) of tokens, before the softmax.
            ids: what `ids` returned.

        Returns:
            (N, labels) float64.
        """
        scores = scores.astype("float64")
        scores = scores - _logsumexp(scores, -1)[..., None]
        places = np.arange(scores.shape[1])
        labels = [_logsumexp(scores[:, places, rows].sum(-1), -1) - np.log(len(rows)) for rows in ids]
        stacked = np.stack(labels, axis=1)
        return stacked - _logsumexp(stacked, -1)[:, None]


def _logsumexp(x: np.ndarray, axis: int) -> np.ndarray:
    top = x.max(axis)
    return top + np.log(np.exp(x - np.expand_dims(top, axis)).sum(axis))
