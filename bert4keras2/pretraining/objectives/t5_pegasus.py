"""T5-PEGASUS: a pseudo-summary of a document is generated from the rest of it (kexue.fm/archives/8209)."""

from __future__ import annotations

from typing import Any

import numpy as np

from bert4keras2.pretraining.corpus import CorpusError
from bert4keras2.pretraining.objectives.base import Batch, Graph, Objective
from bert4keras2.pretraining.objectives.scores import TokenAccuracy, TokenLoss
from bert4keras2.pretraining.words import SENTENCE

__all__ = ["PseudoSummary", "common_length", "pseudo_summary"]


def common_length(first: list[int], second: list[int]) -> int:
    """Return the length of the longest common subsequence of two lists, with a row of the table in one number.

    Bit i of the number is 0 where the table grows at element i of `first` (Crochemore et al., 2001).
    """
    places: dict[int, int] = {}
    for index, item in enumerate(first):
        places[item] = places.get(item, 0) | 1 << index
    ones = (1 << len(first)) - 1
    row = ones
    for item in second:
        kept = row & places.get(item, 0)
        row = ((row + kept) | (row - kept)) & ones
    return len(first) - row.bit_count()


def pseudo_summary(sentences: list[list[int]]) -> list[int]:
    """Choose about a quarter of a document's sentences so that they share the longest subsequence with the rest.

    First the sentence that shares most with all others, then always the one that makes the chosen ones, put together,
    share most with what is left; of equal ones the earlier.

    Args:
        sentences: token ids of each sentence, at least two sentences.

    Returns:
        The numbers of the chosen sentences in the document's order; at least one, and never all.
    """
    chosen: list[int] = []
    for _ in range(max(1, round(len(sentences) / 4))):
        best, longest = -1, -1
        for candidate in range(len(sentences)):
            if candidate in chosen:
                continue
            picked = {*chosen, candidate}
            first = [token for index in sorted(picked) for token in sentences[index]]
            rest = [token for index, sentence in enumerate(sentences) if index not in picked for token in sentence]
            length = common_length(first, rest)
            if length > longest:
                best, longest = candidate, length
        chosen.append(best)
    return sorted(chosen)


class PseudoSummary(Objective):
    """The encoder reads what is left of a document, the decoder writes its pseudo-summary."""

    name = "t5_pegasus"
    summary = "a pseudo-summary of a document, told from the rest of it"
    options = {"with_lm": "linear"}  # noqa: RUF012 - scores: the loss makes probabilities of them

    @property
    def pieces_of_rows(self) -> bool:
        """One document stands in a row."""
        return False

    @property
    def target_length(self) -> int:
        """Positions of the decoder: a quarter of a document, and room for long sentences."""
        return max(self.length // 2, 2)

    def plan(self, shards: Any, random: Any) -> list[np.ndarray]:
        """Return a row for each text of at least two sentences.

        Raises:
            CorpusError: if there is none.
        """
        rows = []
        for text in random.permutation(len(shards)).tolist():
            size = min(int(shards.lengths[text]), self.length - 2 + self.target_length - 2)
            if np.count_nonzero(shards[text][1][:size] & SENTENCE) > 1:
                rows.append(np.array([[text, 0, size]]))
        if not rows:
            raise CorpusError(
                "objective 't5_pegasus' learns from documents, and no passage of the corpus has two sentences"
            )
        return rows

    def batch(self, shards: Any, rows: list, random: Any) -> Batch:
        """Return the arrays of documents without their summaries (B, T), of summaries, and what follows (B, S)."""
        pad, start, end = self.tokenizer.pad_id, self.tokenizer.start_id, self.tokenizer.end_id
        source = np.full((len(rows), self.length), pad, np.int32)
        target = np.full((len(rows), self.target_length), pad, np.int32)
        labels = np.full_like(target, -1)
        for row, ((text, first, size),) in enumerate(rows):
            ids, flags = (part[first : first + size] for part in shards[int(text)])
            cuts = np.flatnonzero(flags & SENTENCE)
            sentences = [part.tolist() for part in np.split(ids, cuts[cuts > 0])]
            chosen = set(pseudo_summary(sentences))
            parts: tuple[list[int], list[int]] = ([], [])
            for index, sentence in enumerate(sentences):
                parts[index in chosen].extend(sentence)
            rest, summary = parts[0][: self.length - 2], parts[1][: self.target_length - 1]
            source[row, : len(rest) + 2] = [start, *rest, end]
            target[row, : len(summary) + 1] = [start, *summary]
            labels[row, : len(summary) + 1] = [*summary, end]
        return {"Encoder-Input-Token": source, "Decoder-Input-Token": target}, {"tokens": labels}

    def graph(self, transformer: Any) -> Graph:
        """Return the graph from documents to the scores (B, S, V) of their summaries."""
        return list(transformer.inputs), {"tokens": transformer.outputs[-1]}

    def losses(self):
        return {"tokens": (TokenLoss(), TokenAccuracy())}
