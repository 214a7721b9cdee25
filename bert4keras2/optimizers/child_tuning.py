"""ChildTuning: steps that change a part of the weights only."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from keras import ops

from bert4keras2.arguments import fraction
from bert4keras2.functional.chance import thinned
from bert4keras2.optimizers.patterns import path_of
from bert4keras2.optimizers.rules import UpdateRule
from bert4keras2.training.transforms import StepSeed

__all__ = ["ChildTuning"]

MODES = ("F", "D")


class ChildTuning(UpdateRule):
    """Lets the gradients of a part of the weights through (arXiv:2109.05687).

    Mode "F" draws the part anew in each step, each weight with probability p, and divides what is let through by p.
    Mode "D" has one part for the whole training, which `choose` makes of squared gradients.

    Args:
        child_p: share of the weights, up to 1; in mode F on PyTorch, the nearest multiple of 1/256.
        child_mode: "F" or "D".
        child_rescale: divide by p; for mode "D" the paper does, and its authors' code does not. With Adam it makes
            hardly a difference, with SGD it does.
        child_seed: of mode F; by chance if None.
        child_blocks_only: in mode D, choose among the weights of blocks; all others learn.

    Raises:
        ValueError: for another mode, or if p is out of range.
    """

    keywords = {
        "child_p": 0.3,
        "child_mode": "F",
        "child_rescale": True,
        "child_seed": None,
        "child_blocks_only": False,
    }

    def __init__(
        self,
        child_p: float = 0.3,
        child_mode: str = "F",
        child_rescale: bool = True,
        child_seed: int | None = None,
        child_blocks_only: bool = False,
    ):
        if child_mode not in MODES:
            raise ValueError(f"child_mode is 'F' or 'D', not {child_mode!r}")
        self.child_p, self.child_mode = fraction("child_p", child_p), child_mode
        self.child_rescale, self.child_blocks_only = bool(child_rescale), bool(child_blocks_only)
        self.child_seed = random.randint(1, 2**31 - 1) if child_seed is None else int(child_seed)
        self._masks: list[Any] = []
        self._chosen = False

    def build(self, optimizer, variables):
        if self.child_mode == "D":
            self._masks = [optimizer.add_variable_from_reference(v, "child", initializer="ones") for v in variables]

    def choose(self, variables: list[Any], importance: list[np.ndarray]) -> float:
        """Let the most important weights learn from now on.

        Args:
            variables: those of the optimizer.
            importance: of each weight, in arrays of the variables' shapes.

        Returns:
            The share of all weights that learn.
        """
        chosen = [not self.child_blocks_only or "Transformer-" in path_of(variable) for variable in variables]
        considered = [part.ravel() for part, choice in zip(importance, chosen, strict=True) if choice]
        if not considered:
            raise ValueError("no variable is of a block, as 'Transformer-0-FeedForward/...' is: take mode='D'")
        values = np.concatenate(considered)
        place = -max(1, round(len(values) * self.child_p))
        least = np.partition(values, place)[place]
        learning = 0
        for own, part, choice in zip(self._masks, importance, chosen, strict=True):
            mask = part >= least if choice else np.ones_like(part)
            own.assign(ops.cast(mask, own.dtype))
            learning += int(np.count_nonzero(mask))
        self._chosen = True
        return learning / sum(part.size for part in importance)

    def gradient(self, optimizer, index, variable, gradient):
        if self.child_mode == "D":
            if not self._chosen:
                raise ValueError(
                    "Mode D of child_tuning changes chosen weights: find_child(model, batches) chooses them"
                )
            scale = 1 / self.child_p if self.child_rescale else 1.0
            return gradient * ops.convert_to_tensor(self._masks[index]) * scale
        if self.child_p == 1:
            return gradient
        # The step's number makes the chance, so that no state has to be kept, and each variable has its own.
        seed = StepSeed(self.child_seed + index, optimizer.iterations)
        return thinned(gradient, self.child_p, self.child_rescale, seed)
