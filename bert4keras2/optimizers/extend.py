"""`extend_with_*`: classes made of an optimizer class and further rules."""

from __future__ import annotations

from typing import Any, ClassVar

import keras

from bert4keras2.functional import keras_private
from bert4keras2.functional.registry import register
from bert4keras2.optimizers.accumulation import Accumulation
from bert4keras2.optimizers.averaging import AveragedWeights, Lookahead, MovingAverage
from bert4keras2.optimizers.child_tuning import ChildTuning
from bert4keras2.optimizers.decay import WeightDecay
from bert4keras2.optimizers.layerwise import LayerwiseDecay
from bert4keras2.optimizers.low_rank import LowRank
from bert4keras2.optimizers.rules import Composable, UpdateRule
from bert4keras2.optimizers.scaling import LayerAdaptation, LazyRows, ParameterRates
from bert4keras2.optimizers.schedules import Scheduled

__all__ = ["RULES", "Extended", "extend"]

RULES: dict[str, type[UpdateRule]] = {
    "weight_decay": WeightDecay,
    "layer_adaptation": LayerAdaptation,
    "piecewise_linear_lr": Scheduled,
    "gradient_accumulation": Accumulation,
    "lookahead": Lookahead,
    "lazy_optimization": LazyRows,
    "exponential_moving_average": MovingAverage,
    "parameter_wise_lr": ParameterRates,
    "layerwise_decay": LayerwiseDecay,
    "child_tuning": ChildTuning,
    "lora": LowRank,
}


@register
class Extended(Composable):
    """An optimizer class with rules; `extend` makes such classes.

    Keras saves all of them under this one name with the recipe in their configuration, so that a model loads in a
    process that has not made the class.
    """

    # All rules from the inside to the outside, as keys of RULES.
    rule_names: ClassVar[tuple[str, ...]] = ()
    # The nearest class that `extend` did not make, and the rules beyond those that it has.
    recipe: ClassVar[tuple[type, tuple[str, ...]]] = (object, ())

    def __init__(self, *args: Any, **kwargs: Any):
        kinds = [RULES[name] for name in self.rule_names]
        rules = [kind(**{key: kwargs.pop(key) for key in kind.keywords if key in kwargs}) for kind in kinds]
        # Keras' constructor has to run before anything else is noted, and the rules want to see its arguments.
        vars(self)["_waiting_rules"] = tuple(rules)
        super().__init__(*args, **kwargs)
        for rule in rules:
            for name, value in rule.options().items():
                setattr(self, name, value)
        self.add_rules(*rules)

    def build(self, variables) -> None:
        """Create the slots, for what rules move themselves those of the variables in its place."""
        pairs = [] if self.built else [pair for rule in self._rules for pair in rule.besides(self, list(variables))]
        if not pairs:
            super().build(variables)
            return
        # Not as an attribute that Keras sees: the model's variables are no state of the optimizer.
        vars(self)["_taken"] = tuple(variable for variable, _ in pairs)
        own = {id(variable) for variable in self._taken}
        rest = [variable for variable in variables if id(variable) not in own]
        extra = [other for _, others in pairs for other in others]
        super().build([*rest, *extra])
        self._besides = keras_private.update_besides(self, list(variables), extra, list(self._taken))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, and how the class is made."""
        config = super().get_config()
        for rule in self._rules:
            rule.config(config)
        base, names = self.recipe
        return {**config, "recipe": {"base": _name_of(base), "rules": list(names), "name": type(self).__name__}}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None):
        """Return the optimizer of a configuration."""
        config = dict(config)
        recipe = config.pop("recipe", None)
        if cls is Extended:
            made = _class_of(recipe["base"], custom_objects)
            for rule in recipe["rules"]:
                made = extend(made, rule)
            made.__name__ = recipe["name"]
            return made.from_config(config, custom_objects)
        return super().from_config(config, custom_objects)


def extend(BaseOptimizer: type, rule: str, name: str | None = None) -> type:
    """Return a class of optimizers that follow one more rule.

    Args:
        BaseOptimizer: a class of this package, one of keras.optimizers, or one that `extend` made.
        rule: a key of `RULES`.
        name: name of the new class.

    Raises:
        TypeError: if the base is no class of optimizers that update variables themselves.
        ValueError: if the base follows the rule already.
    """
    if not (isinstance(BaseOptimizer, type) and issubclass(BaseOptimizer, keras.optimizers.Optimizer)):
        raise TypeError(f"extend_with_{rule} takes a class of optimizers, such as Adam; got {BaseOptimizer!r}")
    if issubclass(BaseOptimizer, keras.optimizers.LossScaleOptimizer):
        raise TypeError("LossScaleOptimizer goes outside: extend the inner class, then LossScaleOptimizer(optimizer)")
    extended = issubclass(BaseOptimizer, Extended)
    before = BaseOptimizer.rule_names if extended else ()
    if rule in before:
        raise ValueError(f"{BaseOptimizer.__name__} is extended with {rule} already")
    base, names = BaseOptimizer.recipe if "recipe" in vars(BaseOptimizer) else (BaseOptimizer, ())
    bases = (BaseOptimizer,) if extended else (Extended, BaseOptimizer)
    if rule == "exponential_moving_average":
        bases = (*bases, AveragedWeights) if extended else (Extended, AveragedWeights, BaseOptimizer)
    options = ", ".join(f"{key}={value!r}" for key, value in RULES[rule].keywords.items())
    text = f"{BaseOptimizer.__name__} with the rule {rule}({options}), given by keywords.\n\n{RULES[rule].__doc__}"
    recipe = {"rule_names": (*before, rule), "recipe": (base, (*names, rule))}
    attributes = {**recipe, "__doc__": text, "__module__": __name__}
    made = type(name or f"Extended{base.__name__}", bases, attributes)
    # Keras notes the name under which the class is saved; the name stands for `Extended`, which knows recipes.
    registered = keras.saving.register_keras_serializable(package="bert4keras2", name="Extended")
    registered(made)
    registered(Extended)
    return made


def _name_of(base: type) -> str:
    """Return the name under which a configuration keeps a class."""
    if getattr(keras.optimizers, base.__name__, None) is base:
        return f"keras.optimizers.{base.__name__}"
    return keras.saving.get_registered_name(base)


def _class_of(name: str, custom_objects: dict[str, Any] | None) -> type:
    """Return the class that a configuration names."""
    if name.startswith("keras.optimizers."):
        return getattr(keras.optimizers, name.rsplit(".", 1)[-1])
    found = keras.saving.get_registered_object(name, custom_objects)
    if found is None:
        raise ValueError(
            f"The optimizer extends a class {name!r} that is not known here: register it with "
            "keras.saving.register_keras_serializable(), pass custom_objects, or load with compile=False"
        )
    return found
