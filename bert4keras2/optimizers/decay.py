"""Decoupled weight decay."""

from __future__ import annotations

from collections.abc import Iterable

from bert4keras2.optimizers.patterns import Patterns
from bert4keras2.optimizers.rules import UpdateRule

__all__ = ["WeightDecay"]


class WeightDecay(UpdateRule):
    """Subtracts a share of the variable itself, times the learning rate (arXiv:1711.05101).

    Args:
        weight_decay_rate: the share.
        exclude_from_weight_decay: regular expressions searched in the paths of variables that do not decay.

    Raises:
        ValueError: if a pattern is no regular expression.
    """

    keywords = {"weight_decay_rate": 0.01, "exclude_from_weight_decay": ()}

    def __init__(self, weight_decay_rate: float = 0.01, exclude_from_weight_decay: Iterable[str] | None = ()):
        self.weight_decay_rate = float(weight_decay_rate)
        self.excluded = Patterns("exclude_from_weight_decay", exclude_from_weight_decay)
        self.exclude_from_weight_decay = self.excluded.patterns

    def build(self, optimizer, variables):
        self._decays = [bool(self.weight_decay_rate) and not skip for skip in self.excluded.of(variables)]

    def applies(self, index):
        return self._decays[index]

    def folded(self, index, factor, decay):
        return factor, decay + (self.weight_decay_rate if self._decays[index] else 0.0)

    def change(self, step, change):
        return change + step.value * (step.rate * self.weight_decay_rate)
