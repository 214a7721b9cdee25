"""Gradient accumulation: several small batches make one step."""

from __future__ import annotations

from bert4keras2.optimizers.rules import UpdateRule

__all__ = ["Accumulation"]


class Accumulation(UpdateRule):
    """Averages the gradients of several micro-batches and then makes one step, as one larger batch would.

    Keras accumulates; this rule lets `iterations` count micro-steps outside of a step, as the classic optimizers do,
    so that schedules and callbacks read the same numbers, while bias correction counts the steps made.
    All other rules act on the steps made, wherever they stand.

    Args:
        grad_accum_steps: number of micro-batches per step, from 1.

    Raises:
        ValueError: if it is not such a number, or Keras' own gradient_accumulation_steps is also given.
    """

    keywords = {"grad_accum_steps": 2}

    def __init__(self, grad_accum_steps: int = 2):
        if int(grad_accum_steps) != grad_accum_steps or grad_accum_steps < 1:
            raise ValueError(f"grad_accum_steps is a whole number from 1; got {grad_accum_steps!r}")
        self.grad_accum_steps = int(grad_accum_steps)

    def attach(self, optimizer):
        if optimizer.gradient_accumulation_steps:
            raise ValueError("Give grad_accum_steps or Keras' gradient_accumulation_steps, not both")
        if self.grad_accum_steps > 1:
            optimizer.gradient_accumulation_steps = self.grad_accum_steps
        optimizer._counts_micro_steps = True

    def config(self, config):
        super().config(config)
        config["gradient_accumulation_steps"] = None
