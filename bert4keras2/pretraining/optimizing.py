"""The optimizer of a pre-training run."""

from __future__ import annotations

from typing import Any

from bert4keras2.optimizers import LAMB, Adam, Lion, PiecewiseLinear, Tiger, extend_with_weight_decay
from bert4keras2.pretraining.recipes import Recipe

__all__ = ["make_optimizer"]


def make_optimizer(config: Any, recipe: Recipe | None = None) -> Any:
    """Return the optimizer of a configuration, with its schedule over the updates of the run.

    Args:
        config: of the run, with `steps` and `accumulation`.
        recipe: optimizer, rate, decay and schedule; the configuration's own if None.
    """
    recipe = config.published if recipe is None else recipe
    points = {round(share * config.steps): factor for share, factor in recipe.schedule.items()}
    rate = PiecewiseLinear(recipe.learning_rate, points)
    options: dict[str, Any] = {"weight_decay_rate": recipe.weight_decay, "exclude_from_weight_decay": recipe.exclude}
    if config.accumulation > 1:
        options["gradient_accumulation_steps"] = config.accumulation
    if recipe.optimizer == "lamb":  # as it was used for RoFormerV2 and GAU-alpha: the moments are not corrected
        return LAMB(rate, exclude_from_layer_adaptation=recipe.exclude, bias_correction=False, **options)
    if recipe.optimizer == "tiger":
        return Tiger(rate, **options)
    if recipe.optimizer == "lion":
        return extend_with_weight_decay(Lion)(rate, **options)
    return Adam(rate, **options)
