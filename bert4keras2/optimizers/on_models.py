"""Techniques that are rules of an optimizer, by one call on a model or on the optimizer that it has."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from bert4keras2.arguments import positive
from bert4keras2.functional.keras_private import configuration
from bert4keras2.optimizers.child_tuning import ChildTuning
from bert4keras2.optimizers.extend import extend
from bert4keras2.optimizers.layerwise import depths
from bert4keras2.optimizers.patterns import path_of
from bert4keras2.training.gradients import value_of
from bert4keras2.training.step import TrainingStep
from bert4keras2.training.techniques import checked_model

__all__ = ["child_tuning", "find_child", "layerwise_decay", "lora_plus", "parameter_rates"]

CHILD_MODES = {"F": ("F", True), "D": ("D", True), "D-authors": ("D", False)}


def layerwise_decay(model: Any, decay: float = 0.9) -> None:
    """Let a compiled model's blocks learn at rates that fall from the head down to the embeddings.

    What comes after the blocks keeps the learning rate, the last block has it times `decay`, the block before times
    its square, and so on (arXiv:1801.06146). The optimizer is replaced by one of the same configuration with this rule.

    Args:
        model: a compiled model of `bert4keras2.backend.keras`, before its first step.
        decay: the factor between neighbours, up to 1; 0.8 to 0.95 is usual, smaller for large models.

    Raises:
        TypeError: if the model is not of the library's class.
        ValueError: if it is not compiled or has trained, has no blocks, or the factor is out of range.
    """
    _compiled(model, "layerwise_decay")
    depths([path_of(variable) for variable in model.trainable_variables])
    model.optimizer = _extended(model.optimizer, "layerwise_decay", layer_decay=decay)
    model.train_function = None


def parameter_rates(model: Any, rates: dict[str, float]) -> None:
    """Let some variables of a compiled model learn at other rates; the optimizer is replaced by one with this rule.

    Args:
        model: a compiled model of `bert4keras2.backend.keras`, before its first step.
        rates: {part of a path: what multiplies the rate of all variables that have it in theirs}.

    Raises:
        TypeError: if the model is not of the library's class.
        ValueError: if it is not compiled or has trained, or a factor is not positive.
    """
    _compiled(model, "parameter_rates")
    rates = {part: positive(f"rates[{part!r}]", rate) for part, rate in rates.items()}
    model.optimizer = _extended(model.optimizer, "parameter_wise_lr", paramwise_lr_schedule=rates)
    model.train_function = None


def lora_plus(model: Any, ratio: float = 16.0) -> None:
    """Let the second matrices of `lora` learn at a larger rate than the first (LoRA+, arXiv:2402.12354).

    Args:
        model: compiled, after `lora` and before its first step.
        ratio: of the rates.

    Raises:
        ValueError: if the model has no LoRA matrices, is not compiled, or has trained.
    """
    if not any("lora_kernel_b" in path_of(variable) for variable in checked_model(model).trainable_variables):
        raise ValueError(f"{model.name} has no LoRA matrices: call lora(model) first")
    _compiled(model, "lora_plus")
    parameter_rates(model, {"lora_kernel_b": positive("ratio", ratio)})


def child_tuning(
    optimizer: Any, mode: str = "F", p: float = 0.3, rescale: bool | None = None, seed: int | None = None
) -> Any:
    """Return an optimizer that changes a part of the weights only (ChildTuning, arXiv:2109.05687).

    - "F": in each step another part by chance, whose gradients are divided by p. With Adam that comes near to a
      learning rate of sqrt(p) times the given one (kexue.fm/archives/8764).
    - "D": one part for the whole training, those weights that matter most: `find_child` finds them. The paper takes
      them of all weights, and divides by p.
    - "D-authors": as the paper's authors have it in their code: of the weights of blocks, all others learn as usual,
      and nothing is divided.

    Args:
        optimizer: before its first step; the new one has its configuration.
        mode: one of the three.
        p: share of the weights.
        rescale: divide by p; as the mode says if None.
        seed: of mode F.

    Raises:
        ValueError: for another mode, if p is out of range, or the optimizer has made steps.
    """
    if mode not in CHILD_MODES:
        raise ValueError(f"mode is one of {', '.join(map(repr, CHILD_MODES))}, not {mode!r}")
    kind, scaled = CHILD_MODES[mode]
    rescale = scaled if rescale is None else rescale
    options = {"child_p": p, "child_mode": kind, "child_rescale": rescale, "child_seed": seed}
    return _extended(optimizer, "child_tuning", **options, child_blocks_only=mode == "D-authors")


def find_child(model: Any, batches: Iterable[Any], steps: int | None = None) -> float:
    """Find the weights that mode "D" of `child_tuning` changes: those with the largest squared gradients on the data.

    The gradients are those of batches, as in the authors' code: with batches of one row, the sum of their squares is
    the Fisher information that the paper means.

    Args:
        model: compiled with an optimizer of `child_tuning`.
        batches: of labelled rows: (x, y) or (x, y, sample_weight).
        steps: how many batches to take; all if None.

    Returns:
        The share of all trainable weights that will change.

    Raises:
        TypeError: if the model is not of the library's class.
        ValueError: if its optimizer has no mode D, or there are no batches.
    """
    checked_model(model)
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    rule = optimizer.find_rule(ChildTuning) if hasattr(optimizer, "find_rule") else None
    if rule is None or rule.child_mode != "D":
        raise ValueError("find_child is for models compiled with child_tuning(optimizer, mode='D' or 'D-authors')")
    variables = list(model.trainable_variables)
    optimizer.build(variables)
    squares = [np.zeros(tuple(variable.shape), "float64") for variable in variables]
    count = 0
    for data in itertools.islice(iter(batches), steps):
        count += 1
        data = tuple(keras.tree.map_structure(ops.convert_to_tensor, part) for part in data)
        step = TrainingStep(model, data, [])
        gradients = step.run([value_of(variable) for variable in variables])[3]
        for total, gradient in zip(squares, gradients, strict=True):
            if gradient is not None:
                total += np.square(np.asarray(ops.convert_to_numpy(gradient), "float64") / float(step.scale))
    if not count:
        raise ValueError("find_child got no batches")
    return rule.choose(variables, squares)


def _compiled(model: Any, caller: str) -> None:
    """Raise an error, in a caller's name, if a model has no optimizer that could be replaced."""
    if getattr(checked_model(model), "optimizer", None) is None:
        raise ValueError(f"{caller} changes the optimizer of {model.name!r}: call compile first")


def _extended(optimizer: Any, rule: str, **options: Any) -> Any:
    """Return an optimizer of the same configuration with one more rule."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        inner = _extended(optimizer.inner_optimizer, rule, **options)
        config = {name: value for name, value in optimizer.get_config().items() if name != "inner_optimizer"}
        return keras.optimizers.LossScaleOptimizer(inner, **config)
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise TypeError(f"an optimizer of Keras is wanted, such as bert4keras2.optimizers.Adam, not {optimizer!r}")
    if optimizer.built and int(ops.convert_to_numpy(optimizer.iterations)):
        raise ValueError(f"{optimizer.name} has made steps, whose moments would be lost: call this before training")
    base = type(optimizer)
    # On PyTorch, Keras makes objects of other classes, which do not update variables one by one.
    public = getattr(keras.optimizers, base.__name__, base)
    base = public if issubclass(base, public) else base
    return extend(base, rule).from_config({**configuration(optimizer), **options})
