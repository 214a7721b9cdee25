"""Adam's step in one pass over the weights, on PyTorch: operation by operation it takes some fifteen."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from bert4keras2.functional import keras_private
from bert4keras2.optimizers.rules import Step

__all__ = ["fused_adam"]

# With so many steps no correction of the moments is left: what an optimizer without one asks for.
UNCORRECTED = 1e9


def fused_adam(optimizer: Any, places: list[int], gradients: list[Any], variables: list[Any], rate: Any) -> list[int]:
    """Make the step of those variables that PyTorch's kernel serves, with their rules.

    Args:
        optimizer: an `Adam` that is built.
        places: of the variables among those of the optimizer.
        gradients: one for each variable.
        variables: what is trained.
        rate: the learning rate.

    Returns:
        Which of the variables are left, by number: all on other backends.
    """
    everything = list(range(len(variables)))
    if keras.backend.backend() != "torch" or not optimizer.epsilon or keras_private.in_stateless_scope():
        return everything
    import torch

    if torch.compiler.is_compiling():
        return everything
    groups: dict[Any, list[Step]] = {}
    left = []
    for number, (place, gradient, variable) in enumerate(zip(places, gradients, variables, strict=True)):
        folded, value = _folded(optimizer, place), keras_private.raw_value(variable)
        if folded is None or not value.is_contiguous() or value.device.type not in ("cpu", "cuda"):
            left.append(number)
            continue
        gradient = optimizer.through_rules(place, variable, gradient.to(value.dtype))
        step = Step(optimizer, place, variable, variable, gradient.contiguous(), rate)
        groups.setdefault((*folded, value.dtype, value.device), []).append(step)
    for (factor, decay, *_), steps in groups.items():
        _make(steps, factor, decay)
        for step in steps:
            for rule in optimizer._rules:
                rule.after(step)
    return left


def _folded(optimizer: Any, index: int) -> tuple[float, float] | None:
    """Return the factor of a variable's learning rate and its decay, None where its rules do more to a step."""
    found: tuple[float, float] | None = (1.0, 0.0)
    for rule in optimizer._rules:
        found = None if found is None or rule.takes(index) else rule.folded(index, *found)
    return found if found is None or found[0] > 0 else None


def _make(steps: list[Step], factor: float, decay: float) -> None:
    """Make the steps of variables of one dtype, device, factor of the rate and decay."""
    import torch
    from torch.optim.adamw import adamw

    optimizer, variable = steps[0].optimizer, steps[0].variable
    moments = [optimizer.moments(step.index) for step in steps]
    values = [keras_private.raw_value(step.variable) for step in steps]
    on_cpu = values[0].device.type == "cpu"
    rate = float(steps[0].rate) if on_cpu else keras.ops.convert_to_tensor(steps[0].rate)
    counts = torch.full((len(steps),), UNCORRECTED, device=values[0].device)
    if optimizer.bias_correction:
        # Read on the device: a number on the host would wait for all that a GPU has under way.
        counts = counts.copy_(keras.ops.convert_to_tensor(optimizer.iterations))
    double = variable.dtype == "float64"
    adamw(
        values,
        [step.gradient for step in steps],
        [keras_private.raw_value(first) for first, _ in moments],
        [keras_private.raw_value(second) for _, second in moments],
        [],
        list(counts.unbind()),
        fused=True,
        amsgrad=False,
        # As `complement` has it: the kernel takes 1 - beta from the number as it is.
        beta1=optimizer.beta_1 if double else _single(optimizer.beta_1),
        beta2=optimizer.beta_2 if double else _single(optimizer.beta_2),
        lr=rate * factor,
        # What the kernel multiplies by the whole rate.
        weight_decay=decay / factor,
        eps=optimizer.epsilon,
        maximize=False,
    )


def _single(number: float) -> float:
    return float(np.float32(number))
