"""Batches of texts that belong together, for losses that learn from groups of rows."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from bert4keras2.snippets.data import DataGenerator
from bert4keras2.snippets.sequences import round_up, sequence_padding
from bert4keras2.training.sentences.views import repeat_tokens

__all__ = ["GroupRows"]


class GroupRows(DataGenerator):
    """Batches of groups of texts, row by row: of pairs (a, b) the rows a, b, a, b...

        encoder.model.compile(Adam(1e-5), simcse())
        encoder.model.fit(GroupRows(encoder, texts), epochs=1)

    Groups are shuffled, and never torn apart.

    Args:
        encoder: a `SentenceEncoder`, whose tokenizer, prefix and maxlen are used.
        groups: N texts, each of which then comes twice in a row; or N tuples of equally many texts.
        labels: N numbers, what each group is labelled with; the number of the group in its batch if None.
        batch_size: groups of a batch.
        repeat: share of the tokens of second rows that may stand twice, as `esimcse` wants it.
        seed: of the tokens that stand twice.

    Raises:
        ValueError: if there are no groups, they differ in size, or there are not as many labels.
    """

    bucket_window = 20

    def __init__(
        self,
        encoder: Any,
        groups: Sequence[str] | Sequence[Sequence[str]],
        labels: Sequence[float] | None = None,
        batch_size: int = 32,
        repeat: float = 0.0,
        seed: int | None = None,
    ):
        whole = [(group, group) if isinstance(group, str) else tuple(group) for group in groups]
        sizes = {len(group) for group in whole}
        if len(sizes) != 1 or sizes & {0, 1}:
            raise ValueError(
                f"groups are texts, or tuples of equally many texts; found sizes {sorted(sizes) or 'none'}"
            )
        if labels is not None and len(labels) != len(whole):
            raise ValueError(f"{len(whole)} groups need as many labels, not {len(labels)}")
        data = list(zip(whole, labels if labels is not None else [None] * len(whole), strict=True))
        super().__init__(data, batch_size, length_of=lambda sample: max(map(len, sample[0])))
        self.encoder, self.repeat, self._random = encoder, repeat, random.Random(seed)

    def collate(self, batch: list[Any]) -> Any:
        """Return (inputs, labels) of groups."""
        size = len(batch[0][0])
        texts = [self.encoder.prefix + text for group, _ in batch for text in group]
        ids, _ = self.encoder.tokenizer.encode_batch(texts, maxlen=self.encoder.maxlen)
        cutter = self.encoder._cutter
        lengths = cutter.lengths(ids)
        rows = [row[:length].tolist() for row, length in zip(ids, lengths, strict=True)]
        if self.repeat:
            longest = self.encoder.maxlen
            for place in range(1, len(rows), size):
                row = repeat_tokens(rows[place], self.repeat, self._random)
                rows[place] = row if len(row) <= longest else [*row[: longest - 1], row[-1]]
        width = min(round_up(max(map(len, rows)), 16), self.encoder.maxlen)
        padded = sequence_padding(rows, length=width, value=cutter.pad)
        inputs = cutter.inputs(padded, np.zeros_like(padded))  # single texts, whose segment is the first one
        labels = np.array([place if label is None else label for place, (_, label) in enumerate(batch)], "float32")
        return inputs if len(inputs) > 1 else inputs[0], labels.repeat(size)[:, None]
