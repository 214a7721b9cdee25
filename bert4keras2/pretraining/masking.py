"""Whole-word masking: which tokens are hidden, and by what."""

from __future__ import annotations

import numpy as np

from bert4keras2.pretraining.words import WORD

__all__ = ["Masked", "WholeWordMasking"]


class Masked:
    """Rows with hidden tokens.

    Attributes:
        ids: (B, T) int32 with masks in place.
        positions: (B, P) int32, which positions are to be told, in order; 0 where there are fewer.
        labels: (B, P) int32, what stood there; -1 where there are fewer.
    """

    def __init__(self, ids: np.ndarray, positions: np.ndarray, labels: np.ndarray):
        self.ids, self.positions, self.labels = ids, positions, labels


class WholeWordMasking:
    """Hides words of rows (Devlin et al., arXiv:1810.04805; whole words: Cui et al., arXiv:1906.08101).

    Of each row, words are drawn until a share of its tokens is reached; all tokens of a word are hidden together: by
    the mask (80 %), by random tokens (10 %), or by themselves (10 %).

    Args:
        mask_id: id of the mask.
        vocab_size: number of tokens.
        special_ids: ids that are never hidden and never drawn.
        row_length: T, positions of a row.
        rate: share of tokens to hide.
        decision: "token": each token of a word is masked, replaced or kept on its own, as in BERT and bert4keras;
            "word": all tokens of a word alike, as in RoFormerV2 and GAU-alpha.
        shares: of masked and of random tokens; the rest stay.

    Raises:
        ValueError: if a number or `decision` is out of range.
    """

    def __init__(
        self,
        mask_id: int,
        vocab_size: int,
        special_ids: list[int],
        row_length: int,
        rate: float = 0.15,
        decision: str = "token",
        shares: tuple[float, float] = (0.8, 0.1),
    ):
        if not 0 < rate < 1:
            raise ValueError(f"mask_rate={rate} should be between 0 and 1")
        if decision not in ("token", "word"):
            raise ValueError(f"mask_decision is 'token' or 'word', not {decision!r}")
        self.mask_id, self.rate, self.decision, self.shares = mask_id, rate, decision, shares
        self.special = np.zeros(vocab_size, bool)
        self.special[list(special_ids)] = True
        self.plain_ids = np.flatnonzero(~self.special).astype(np.int32)
        self.per_row = max(1, round(row_length * rate))

    def __call__(self, ids: np.ndarray, flags: np.ndarray, random: np.random.Generator) -> Masked:
        """Hide words.

        Args:
            ids: (B, T) int32 rows, with special tokens and padding.
            flags: (B, T) uint8; a token without WORD belongs to the word before it.
            random: where chance comes from.
        """
        batch, length = ids.shape
        plain = ~self.special[ids]
        starts = plain & ((flags & WORD) > 0)
        # A special token ends a word: what follows it is another one even without the flag.
        starts[:, 1:] |= plain[:, 1:] & ~plain[:, :-1]
        starts[:, 0] |= plain[:, 0]
        word = np.cumsum(starts, axis=1)  # 1, 2, ... by row; special tokens are left out below
        positions = np.zeros((batch, self.per_row), np.int32)
        labels = np.full((batch, self.per_row), -1, np.int32)
        hidden = np.zeros((batch, length), bool)
        for row in range(batch):
            hidden[row] = plain[row] & self._drawn(word[row], plain[row], random)[word[row]]
        rows, columns = np.nonzero(hidden)
        counts = hidden.sum(1)
        slots = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        positions[rows, slots], labels[rows, slots] = columns, ids[rows, columns]
        masked = ids.copy()
        masked[rows, columns] = self._replaced(ids[rows, columns], rows * (length + 1) + word[rows, columns], random)
        return Masked(masked, positions, labels)

    def _drawn(self, word: np.ndarray, plain: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Return (W + 1,) booleans: which words of a row are hidden."""
        sizes = np.bincount(word[plain], minlength=int(word[-1]) + 1)
        chosen = np.zeros(len(sizes), bool)
        expected = plain.sum() * self.rate
        # Rounded by chance, so that the share is right in rows of few tokens too.
        budget = min(int(expected + random.random()), self.per_row)
        for candidate in random.permutation(np.arange(1, len(sizes))).tolist():
            if sizes[candidate] <= budget:
                chosen[candidate] = True
                budget -= sizes[candidate]
                if not budget:
                    break
        return chosen

    def _replaced(self, ids: np.ndarray, words: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Return what stands in place of hidden tokens; `words` tells which of them are of one word."""
        if self.decision == "word":
            _, index = np.unique(words, return_inverse=True)
            chance = random.random(index.max(initial=-1) + 1)[index]
        else:
            chance = random.random(len(ids))
        masked, replaced = self.shares
        drawn = self.plain_ids[random.integers(0, len(self.plain_ids), len(ids))]
        return np.where(chance < masked, self.mask_id, np.where(chance < masked + replaced, drawn, ids))
