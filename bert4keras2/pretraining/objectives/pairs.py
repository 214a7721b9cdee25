"""Hidden words and the order of two passages: next-sentence prediction (BERT), sentence order (ALBERT)."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from bert4keras2.models import heads
from bert4keras2.pretraining.objectives.base import Batch, Graph, Packed, Rows
from bert4keras2.pretraining.objectives.mlm import Hiding, at
from bert4keras2.pretraining.objectives.scores import TokenAccuracy, TokenLoss
from bert4keras2.pretraining.packing import cut_texts
from bert4keras2.pretraining.words import SENTENCE, WORD

__all__ = ["NextSentence", "SentenceOrder"]


class Pairs(Hiding, Packed):
    """`[CLS] first [SEP] second [SEP]`: whether the second passage follows is told from the first token.

    A piece of a text is cut at the beginning of a sentence, or of a word where it has one sentence alone.
    """

    options = {"with_mlm": True, "with_nsp": True}  # noqa: RUF012
    extra = 3

    def plan(self, shards, random):
        pieces = cut_texts(shards.lengths, self.length - self.extra, max(2, self.setup.shortest), even=True)
        return list(pieces[random.permutation(len(pieces))][:, None])

    @property
    def pieces_of_rows(self) -> bool:
        """One pair stands in a row: the first token answers for it."""
        return False

    def second(self, shards: Any, halves: list[np.ndarray], random: Any) -> tuple[list[np.ndarray], int]:
        """Return two passages (ids, flags) of a row, and their label: 0 if they follow each other.

        Args:
            shards: all texts.
            halves: arrays (2, N) of ids and flags before and after the cut.
            random: where chance comes from.
        """
        raise NotImplementedError

    def batch(self, shards: Any, rows: list, random: Any) -> Batch:
        """Return the arrays of pairs with hidden words, the hidden tokens (B, P), and the pairs' labels (B, 1)."""
        laid = Rows.empty(len(rows), self.length, self.tokenizer.pad_id)
        labels = np.zeros((len(rows), 1), np.int32)
        for row, ((text, start, size),) in enumerate(rows):
            whole = np.stack(shards[int(text)])[:, start : start + size]
            cut = _cut(whole[1], random)
            halves, labels[row] = self.second(shards, [whole[:, :cut], whole[:, cut:]], random)
            self._write(laid, row, halves)
        masked = self.hide(laid, random)
        return {**self.text_arrays(laid), "Input-Hidden": masked.positions}, {"tokens": masked.labels, "order": labels}

    def _write(self, rows: Rows, row: int, halves: list[np.ndarray]) -> None:
        place = 1
        rows.ids[row, 0] = self.tokenizer.start_id
        for segment, (ids, flags) in enumerate(halves):
            end = place + len(ids)
            rows.ids[row, place:end], rows.flags[row, place:end] = ids, flags
            rows.ids[row, end] = self.tokenizer.end_id
            rows.segments[row, place : end + 1] = segment
            place = end + 1
        rows.texts[row, :place] = 1
        rows.positions[row, :place] = np.arange(place)

    def graph(self, transformer: Any) -> Graph:
        """Return the graph from rows to the scores (B, P, V) of hidden tokens and (B, 1, 2) of the order."""
        inputs, context = self.context(transformer)
        hidden = self.hidden_input()

        def scores(x: Any) -> list[Any]:
            order = ops.log(heads.pooled(transformer, x))
            return [heads.token_scores(transformer, at(x, hidden)), ops.expand_dims(order, 1)]

        context.heads = scores
        (tokens, order), _ = transformer.run(context, transformer.inputs)
        return [*inputs, hidden], {"tokens": tokens, "order": order}

    def losses(self):
        return {
            "tokens": (TokenLoss(), TokenAccuracy()),
            "order": (TokenLoss(name="order_loss"), TokenAccuracy("order_accuracy")),
        }


def _cut(flags: np.ndarray, random: Any) -> int:
    """Return where a piece of at least two tokens is cut."""
    places = np.flatnonzero(flags & SENTENCE)
    places = places[places > 0]
    if not len(places):
        places = np.flatnonzero(flags & WORD)
        places = places[places > 0]
    return int(random.choice(places)) if len(places) else len(flags) // 2


class NextSentence(Pairs):
    """Of half of the pairs, the second passage is of another text (arXiv:1810.04805)."""

    name = "nsp"
    summary = "hidden words, and whether one passage follows another or is of another text"

    def second(self, shards, halves, random):
        if random.random() < 0.5 or len(shards) < 2:
            return halves, 0
        wanted = halves[1].shape[1]
        other = np.stack(shards[int(random.integers(len(shards)))])
        return [halves[0], other[:, :wanted]], 1


class SentenceOrder(Pairs):
    """Half of the pairs are turned round (arXiv:1909.11942)."""

    name = "sop"
    summary = "hidden words, and whether two passages stand in their order"

    def second(self, shards, halves, random):
        if random.random() < 0.5:
            return halves, 0
        return halves[::-1], 1
