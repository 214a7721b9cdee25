"""Optimizers and learning rate schedules.

Classes: Adam, AdaFactor, Lion (LionV2), LAMB, Tiger. `extend_with_*` makes classes of these, or of any of Keras, that
also decay weights, accumulate gradients, keep averages and so on.
"""

from bert4keras2.old_names import lookup
from bert4keras2.optimizers.adafactor import AdaFactor
from bert4keras2.optimizers.adam import Adam
from bert4keras2.optimizers.extend import Extended
from bert4keras2.optimizers.factories import (
    extend_with_child_tuning,
    extend_with_exponential_moving_average,
    extend_with_exponential_moving_average_v2,
    extend_with_gradient_accumulation,
    extend_with_gradient_accumulation_v2,
    extend_with_layer_adaptation,
    extend_with_layer_adaptation_v2,
    extend_with_layerwise_decay,
    extend_with_lazy_optimization,
    extend_with_lazy_optimization_v2,
    extend_with_lookahead,
    extend_with_lookahead_v2,
    extend_with_lora,
    extend_with_parameter_wise_lr,
    extend_with_parameter_wise_lr_v2,
    extend_with_piecewise_linear_lr,
    extend_with_piecewise_linear_lr_v2,
    extend_with_weight_decay,
    extend_with_weight_decay_v2,
)
from bert4keras2.optimizers.lamb import LAMB
from bert4keras2.optimizers.lion import Lion, LionV2
from bert4keras2.optimizers.schedules import PiecewiseLinear, RelativeStep
from bert4keras2.optimizers.tiger import Tiger

__all__ = [
    "AdaFactor",
    "Adam",
    "Extended",
    "LAMB",
    "Lion",
    "LionV2",
    "PiecewiseLinear",
    "RelativeStep",
    "Tiger",
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
# Names of earlier releases are looked up in the table.
__getattr__ = lookup(__name__)
