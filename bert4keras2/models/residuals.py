"""How large a branch starts beside its residual path: DeepNorm, a ramp, a learnt scale."""

from __future__ import annotations

import re
from typing import Any

from bert4keras2.families.attention_options import chosen
from bert4keras2.layers.mixing.scale import LayerScale
from bert4keras2.layers.normalization import ScaleOffset
from bert4keras2.layers.ramp import ResidualRamp

__all__ = ["deepnorm", "grown", "start", "stretched"]

# The projections that a branch's size is proportional to; not those of queries and keys, whose size is that of scores.
GAINED = re.compile(r"/(v|o|i\d+)_dense/kernel$")


def deepnorm(config: Any) -> tuple[float, float]:
    """Return (factor of the residual path, gain of the first weights) of a model with M branches.

    "paper": M ** 1/4 and (4 M) ** -1/4, which are (2 N) ** 1/4 and (8 N) ** -1/4 for N blocks of two branches (Wang et
    al., arXiv:2203.00555). "sgd", "adam" and "lamb" bound the change of the output by one step of that optimizer (Su
    Jianlin, kexue.fm/archives/8978): M ** 1/4 and M ** -1/4; M ** 1/2 and M ** -1/2; 1 and M ** -1/2.
    """
    branches = config.num_hidden_layers * (2 if config.block == "attention" else 1)
    rule = chosen("residual", config.residual)["rule"]
    rules = {
        "paper": (branches**0.25, (4 * branches) ** -0.25),
        "sgd": (branches**0.25, branches**-0.25),
        "adam": (branches**0.5, branches**-0.5),
        "lamb": (1.0, branches**-0.5),
    }
    return rules[rule]


def start(transformer: Any, name: str) -> None:
    """Multiply the first values of a new branch's value, output and feed-forward kernels by DeepNorm's gain."""
    config = transformer.config
    if config.residual is not None and chosen("residual", config.residual)["type"] == "deepnorm":
        for variable in transformer.layers[transformer.prefixed(name)].weights:
            if GAINED.search(variable.path):
                variable.assign(variable * deepnorm(config)[1])


def stretched(transformer: Any, x: Any, name: str) -> Any:
    """Return the residual path x (B, T, C) of a branch as the option `residual` has it."""
    config = transformer.config
    if config.residual is None or chosen("residual", config.residual)["type"] != "deepnorm":
        return x
    factor = deepnorm(config)[0]
    return transformer.apply(x, ScaleOffset, scale=factor, offset=False, name=f"{name}-Residual")


def grown(transformer: Any, y: Any, name: str) -> Any:
    """Return what a branch gives, y (B, T, C), as `layer_scale` and `residual` let it begin."""
    config = transformer.config
    if config.layer_scale is not None:
        y = transformer.apply(y, LayerScale, initial=config.layer_scale, name=f"{name}-Scale")
    if config.residual is not None:
        said = chosen("residual", config.residual)
        if said["type"] == "ramp":
            y = transformer.apply(y, ResidualRamp, steps=said["steps"], name=f"{name}-Ramp")
    return y
