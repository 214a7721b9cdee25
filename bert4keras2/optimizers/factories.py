"""The classic names: `extend_with_*(BaseOptimizer)` returns a class with one more rule.

All take a class of this package, of keras.optimizers, or one that they returned, and the name of the new class. The
spellings with `_v2`, once for another version of Keras, are the same functions.
"""

from __future__ import annotations

from bert4keras2.optimizers.extend import extend

__all__ = [
    "extend_with_weight_decay",
    "extend_with_weight_decay_v2",
    "extend_with_layer_adaptation",
    "extend_with_layer_adaptation_v2",
    "extend_with_piecewise_linear_lr",
    "extend_with_piecewise_linear_lr_v2",
    "extend_with_gradient_accumulation",
    "extend_with_gradient_accumulation_v2",
    "extend_with_lookahead",
    "extend_with_lookahead_v2",
    "extend_with_lazy_optimization",
    "extend_with_lazy_optimization_v2",
    "extend_with_exponential_moving_average",
    "extend_with_exponential_moving_average_v2",
    "extend_with_parameter_wise_lr",
    "extend_with_parameter_wise_lr_v2",
    "extend_with_layerwise_decay",
    "extend_with_child_tuning",
    "extend_with_lora",
]


def extend_with_weight_decay(BaseOptimizer: type, name: str | None = None) -> type:
    """Return a class of optimizers with decoupled weight decay; `WeightDecay` lists its keywords."""
    return extend(BaseOptimizer, "weight_decay", name)


def extend_with_layer_adaptation(BaseOptimizer: type, name: str | None = None) -> type:
    """Return a class of optimizers with steps scaled to the norms of the weights, as in LAMB; see `LayerAdaptation`."""
    return extend(BaseOptimizer, "layer_adaptation", name)


def extend_with_piecewise_linear_lr(BaseOptimizer: type, name: str | None = None) -> type:
    """Return a class of optimizers with a piecewise linear factor on the learning rate; see `Scheduled`."""
    return extend(BaseOptimizer, "piecewise_linear_lr", name)


def extend_with_gradient_accumulation(BaseOptimizer: type, name: str | None = None) -> type:
    """Return a class of optimizers with several micro-batches per step; see `Accumulation`."""
    return extend(BaseOptimizer, "gradient_accumulation", name)


def extend_with_lookahead(BaseOptimizer: type, name: str | None = None) -> type:
    """Return a class of optimizers with slow weights that the weights are pulled to; see `Lookahead`."""
    return extend(BaseOptimizer, "lookahead", name)


def extend_with_lazy_optimization(BaseOptimizer: type, name: str | None = None) -> type:
    """Return a class of optimizers with rows that stay where they have no gradient; see `LazyRows`."""
    return extend(BaseOptimizer, "lazy_optimization", name)


def extend_with_exponential_moving_average(BaseOptimizer: type, name: str | None = None) -> type:
    """Return a class of optimizers with an average of the weights, `apply_ema_weights()` and `reset_old_weights()`; see
    `MovingAverage`."""
    return extend(BaseOptimizer, "exponential_moving_average", name)


def extend_with_parameter_wise_lr(BaseOptimizer: type, name: str | None = None) -> type:
    """Return a class of optimizers with learning rates by parts of the variables' paths; see `ParameterRates`."""
    return extend(BaseOptimizer, "parameter_wise_lr", name)


def extend_with_layerwise_decay(BaseOptimizer: type, name: str | None = None) -> type:
    """Return a class of optimizers whose steps shrink from the head down to the embeddings; see `LayerwiseDecay`."""
    return extend(BaseOptimizer, "layerwise_decay", name)


def extend_with_child_tuning(BaseOptimizer: type, name: str | None = None) -> type:
    """Return a class of optimizers that change a part of the weights only; see `ChildTuning`."""
    return extend(BaseOptimizer, "child_tuning", name)


def extend_with_lora(BaseOptimizer: type, name: str | None = None) -> type:
    """Return a class of optimizers that move matrices along products of thin ones; see `LowRank`."""
    return extend(BaseOptimizer, "lora", name)


extend_with_weight_decay_v2 = extend_with_weight_decay
extend_with_layer_adaptation_v2 = extend_with_layer_adaptation
extend_with_piecewise_linear_lr_v2 = extend_with_piecewise_linear_lr
extend_with_gradient_accumulation_v2 = extend_with_gradient_accumulation
extend_with_lookahead_v2 = extend_with_lookahead
extend_with_lazy_optimization_v2 = extend_with_lazy_optimization
extend_with_exponential_moving_average_v2 = extend_with_exponential_moving_average
extend_with_parameter_wise_lr_v2 = extend_with_parameter_wise_lr
