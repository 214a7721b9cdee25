"""Masked language modelling over whole words, without a second sentence, as in RoBERTa."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bert4keras2.models import heads
from bert4keras2.pretraining.masking import Masked, WholeWordMasking
from bert4keras2.pretraining.objectives.base import Batch, Graph, Packed, Rows
from bert4keras2.pretraining.objectives.scores import TokenAccuracy, TokenLoss

__all__ = ["Hiding", "MaskedLanguageModel"]


class Hiding:
    """Mixed into an objective, it hides words and asks for them; token scores are computed there alone."""

    setup: Any

    def hide(self, rows: Rows, random: Any) -> Masked:
        """Hide words of rows, in place, and return what was hidden."""
        masked = self.masking(rows.ids, rows.flags, random)
        rows.ids = masked.ids
        return masked

    @property
    def masking(self) -> WholeWordMasking:
        """What hides words."""
        setup = self.setup
        if not hasattr(self, "_masking"):
            self._masking = WholeWordMasking(
                setup.tokenizer.mask_id,
                setup.tokenizer.vocab_size,
                setup.special_ids,
                setup.row_length,
                setup.mask_rate,
                setup.mask_decision,
            )
        return self._masking

    def hidden_input(self) -> Any:
        """Return the symbolic input for the places of hidden tokens."""
        return keras.Input((self.masking.per_row,), dtype="int32", name="Input-Hidden")


def at(x: Any, places: Any) -> Any:
    """Return (B, P, C): the vectors of x (B, T, C) at places (B, P)."""
    return ops.take_along_axis(x, ops.expand_dims(places, -1), axis=1)


class MaskedLanguageModel(Hiding, Packed):
    """Hidden words are told from the rest of their text (arXiv:1907.11692)."""

    name = "mlm"
    summary = "hidden words, told from the rest of their text"
    options = {"with_mlm": True}  # noqa: RUF012

    def batch(self, shards: Any, rows: list, random: Any) -> Batch:
        """Return the arrays of texts with hidden words, and the hidden tokens (B, P)."""
        laid = self.rows(shards, rows, random)
        masked = self.hide(laid, random)
        return {**self.text_arrays(laid), "Input-Hidden": masked.positions}, {"tokens": masked.labels}

    def graph(self, transformer: Any) -> Graph:
        """Return the graph from rows to the scores (B, P, V) of hidden tokens."""
        inputs, context = self.context(transformer)
        hidden = self.hidden_input()
        context.heads = lambda x: heads.token_scores(transformer, at(x, hidden))
        scores, _ = transformer.run(context, transformer.inputs)
        return [*inputs, hidden], {"tokens": scores}

    def losses(self):
        return {"tokens": (TokenLoss(), TokenAccuracy())}
