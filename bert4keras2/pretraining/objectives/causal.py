"""Language models: from left to right, and from a first part to the rest (UniLM)."""

from __future__ import annotations

from typing import Any

from bert4keras2.models import heads
from bert4keras2.pretraining.objectives.base import Batch, Graph, Packed
from bert4keras2.pretraining.objectives.scores import TokenAccuracy, TokenLoss
from bert4keras2.pretraining.words import WORD

__all__ = ["CausalLanguageModel", "PrefixLanguageModel"]


class CausalLanguageModel(Packed):
    """Each token is told from those before it."""

    name = "lm"
    summary = "each token, told from those before it"
    options = {"application": "lm"}  # noqa: RUF012

    def lay(self, rows, row, part, ids, flags, random):
        super().lay(rows, row, part, ids, flags, random)
        rows.labels[row, part.start : part.stop - 1] = rows.ids[row, part.start + 1 : part.stop]

    def batch(self, shards: Any, rows: list, random: Any) -> Batch:
        """Return the arrays of texts, and the token that follows each (B, T)."""
        laid = self.rows(shards, rows, random)
        return self.text_arrays(laid), {"tokens": laid.labels}

    def graph(self, transformer: Any) -> Graph:
        """Return the graph from rows to the scores (B, T, V) of what follows each position."""
        inputs, context = self.context(transformer)
        context.heads = lambda x: heads.token_scores(transformer, x)
        scores, _ = transformer.run(context, transformer.inputs)
        return inputs, {"tokens": scores}

    def losses(self):
        return {"tokens": (TokenLoss(), TokenAccuracy())}


class PrefixLanguageModel(CausalLanguageModel):
    """A text is cut at the beginning of a word; its second part is told from the first (arXiv:1905.03197)."""

    name = "unilm"
    summary = "the second part of a text, told from the first"
    options = {"application": "unilm"}  # noqa: RUF012
    extra = 3

    def plan(self, shards, random):
        # A text of one token has no second part; the piece of a longer one has two tokens at least.
        pieces = super().plan(shards, random)
        return [kept for row in pieces if len(kept := row[row[:, 2] >= 2])]

    def lay(self, rows, row, part, ids, flags, random):
        places = [place for place in range(1, len(ids)) if flags[place] & WORD] or [len(ids) // 2]
        cut = int(random.choice(places))
        first = part.start + cut + 2  # of the second part
        rows.ids[row, part.start] = self.tokenizer.start_id
        rows.ids[row, part.start + 1 : first - 1] = ids[:cut]
        rows.ids[row, first - 1] = rows.ids[row, part.stop - 1] = self.tokenizer.end_id
        rows.ids[row, first : part.stop - 1] = ids[cut:]
        rows.segments[row, first : part.stop] = 1
        rows.labels[row, first - 1 : part.stop - 1] = rows.ids[row, first : part.stop]
