"""Batches of pre-training: which texts, in which order, with which chance follows from a seed and a number alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from bert4keras2.pretraining.corpus import CorpusError
from bert4keras2.pretraining.objectives import Objective
from bert4keras2.pretraining.shards import Shards

__all__ = ["Batches", "Part", "split_texts"]

# Streams of chance.
_ORDER, _CONTENT, _HELD_OUT = 0, 1, 2


class Part:
    """Some texts of shards, by numbers of their own.

    Args:
        shards: all texts.
        numbers: which of them.

    Attributes:
        lengths: (M,) how many tokens each text has.
    """

    def __init__(self, shards: Shards, numbers: np.ndarray):
        self._shards, self._numbers = shards, numbers
        self.lengths = shards.lengths[numbers]

    def __len__(self) -> int:
        return len(self.lengths)

    def numbers(self, indices: Any) -> np.ndarray:
        """Return which texts of the shards some texts are."""
        return self._numbers[indices]

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return ids (N,) and flags (N,) of a text."""
        return self._shards[self._numbers[index]]


def split_texts(shards: Shards, held_out: float, seed: int) -> tuple[Part, Part]:
    """Divide texts into those to learn from and those to evaluate with; texts of a group stay together.

    Args:
        shards: all texts.
        held_out: share of the second part.
        seed: of the choice.
    """
    group = np.cumsum(~shards.continues) - 1
    chosen = np.random.default_rng([seed, _HELD_OUT]).random(int(group[-1]) + 1 if len(group) else 0) < held_out
    kept = chosen[group]
    return Part(shards, np.flatnonzero(~kept)), Part(shards, np.flatnonzero(kept))


class Batches:
    """The batches of an objective, endlessly.

    Args:
        texts: the texts.
        objective: what is made of them.
        inputs: names of the model's inputs, in their order.
        batch_size: rows of a batch.
        seed: order and chance follow from it, and from the number of the batch: a run may begin anywhere.
        replica: (index, count): of larger batches of `count * batch_size` rows, the index-th part alone, for runs of
            several processes.

    Raises:
        CorpusError: if the texts do not fill a single batch.
    """

    def __init__(
        self,
        texts: Part,
        objective: Objective,
        inputs: list[str],
        batch_size: int,
        seed: int,
        replica: tuple[int, int] = (0, 1),
    ):
        self.texts, self.objective, self.inputs, self.seed = texts, objective, inputs, seed
        self.batch_size, self.replica = batch_size, replica
        self.first_pass = self._plan(0)
        rows = batch_size * replica[1]
        if batch_size % objective.multiple:
            raise ValueError(f"batch_size is a multiple of {objective.multiple} for objective {objective.name!r}")
        if len(self.first_pass) < rows:
            raise CorpusError(
                f"the corpus fills {len(self.first_pass)} rows, and a batch takes {rows}: it is too small, or"
                " batch_size too large"
            )

    def _plan(self, number: int) -> list[np.ndarray]:
        return self.objective.plan(self.texts, np.random.default_rng([self.seed, _ORDER, number]))

    def _rows(self, skipped: int) -> Iterator[np.ndarray]:
        """Yield rows of pass after pass, without the first ones."""
        for number in itertools.count():
            rows = self._plan(number) if number else self.first_pass
            yield from rows[skipped:]
            skipped = max(0, skipped - len(rows))

    def from_number(self, start: int) -> Iterator[tuple[list[np.ndarray], dict[str, np.ndarray]]]:
        """Yield (inputs, targets) of batch number `start` and all that follow."""
        index, count = self.replica
        size = self.batch_size * count
        rows = self._rows(start * size)
        own = slice(index * self.batch_size, (index + 1) * self.batch_size)
        for number in itertools.count(start):
            random = np.random.default_rng([self.seed, _CONTENT, number])
            inputs, targets = self.objective.batch(self.texts, list(itertools.islice(rows, size)), random)
            yield (
                [_named(inputs, name)[own] for name in self.inputs],
                {name: array[own] for name, array in targets.items()},
            )


def _named(arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Return the array for an input of a model, whose name may have a prefix."""
    found = arrays.get(name)
    return found if found is not None else next(arrays[key] for key in arrays if name.endswith(key))
