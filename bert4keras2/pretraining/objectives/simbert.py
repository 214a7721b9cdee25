"""SimBERT: one text generates another that says the same, and their vectors are near (kexue.fm/archives/7427)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from bert4keras2.models import heads
from bert4keras2.pretraining.corpus import CorpusError
from bert4keras2.pretraining.objectives.base import Batch, Graph, Objective, Rows
from bert4keras2.pretraining.objectives.mlm import at
from bert4keras2.pretraining.objectives.scores import PartnerLoss, TokenAccuracy, TokenLoss
from bert4keras2.pretraining.words import CONTINUES

__all__ = ["SimBERT"]


class SimBERT(Objective):
    """Rows come in pairs: one text of a group and then another, and the other way round.

    Token scores are computed where the second text is told, in half of a row, and nowhere else.
    """

    name = "simbert"
    summary = "one of two texts that say the same, told from the other; their vectors, told from all others of a batch"
    options = {"application": "unilm", "with_pool": True}  # noqa: RUF012
    multiple = 2

    @property
    def pieces_of_rows(self) -> bool:
        """One pair stands in a row: the first token is its vector."""
        return False

    @property
    def longest(self) -> int:
        """Tokens of a text; what is longer is cut."""
        return (self.length - 3) // 2

    def plan(self, shards: Any, random: Any) -> list[np.ndarray]:
        """Return two rows for two texts of each group, drawn anew in each pass.

        Raises:
            CorpusError: if no text has others that say the same.
        """
        rest = [bool(shards[text][1][0] & CONTINUES) for text in range(len(shards))]
        starts = np.flatnonzero(~np.array(rest, bool))
        groups = [group for group in np.split(np.arange(len(shards)), starts[1:]) if len(group) > 1]
        if not groups:
            raise CorpusError(
                "objective 'simbert' learns from texts that say the same, and the corpus has none: pass JSON Lines"
                " with a list of such texts in each line, and name its key with group_field"
            )
        rows = []
        for index in random.permutation(len(groups)):
            pair = random.choice(groups[index], 2, replace=False)
            rows += [pair[:, None], pair[::-1, None]]
        return rows

    def batch(self, shards: Any, rows: list, random: Any) -> Batch:
        """Return the arrays of pairs, the tokens (B, P) of the second texts, and nothing for vectors (B, 1)."""
        laid = Rows.empty(len(rows), self.length, self.tokenizer.pad_id)
        places = np.zeros((len(rows), self.longest + 1), np.int32)
        labels = np.full_like(places, -1)
        for row, texts in enumerate(rows):
            first, second = (shards[int(text)][0][: self.longest] for text in texts[:, 0])
            ids = [self.tokenizer.start_id, *first, self.tokenizer.end_id, *second, self.tokenizer.end_id]
            start, end = len(first) + 2, len(ids)
            laid.ids[row, :end] = ids
            laid.segments[row, start:end] = 1
            laid.texts[row, :end] = 1
            laid.positions[row, :end] = np.arange(end)
            places[row, : end - start] = np.arange(start - 1, end - 1)
            labels[row, : end - start] = ids[start:]
        arrays = {**self.text_arrays(laid), "Input-Asked": places}
        return arrays, {"tokens": labels, "vectors": np.zeros((len(rows), 1), np.int32)}

    def graph(self, transformer: Any) -> Graph:
        """Return the graph from rows to the scores (B, P, V) of the second texts, and (B, D) vectors."""
        inputs, context = self.context(transformer)
        asked = keras.Input((self.longest + 1,), dtype="int32", name="Input-Asked")
        context.heads = lambda x: [heads.token_scores(transformer, at(x, asked)), heads.pooled(transformer, x)]
        (tokens, vectors), _ = transformer.run(context, transformer.inputs)
        return [*inputs, asked], {"tokens": tokens, "vectors": vectors}

    def losses(self):
        return {"tokens": (TokenLoss(), TokenAccuracy()), "vectors": (PartnerLoss(), None)}
