"""Optimizers whose steps pass through rules (weight decay, layer adaptation, averages, ...), one after the other."""

from __future__ import annotations

import inspect
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
from keras import ops

from bert4keras2.functional import keras_private
from bert4keras2.functional.no_gradient import no_gradient
from bert4keras2.optimizers.mirrored import accumulate, must_merge
from bert4keras2.training.keras2_methods import GONE_FROM_OPTIMIZERS
from bert4keras2.training.rates import RateName

__all__ = ["Composable", "UpdateRule", "Step"]


@dataclass
class Step:
    """What a rule knows of one variable's step.

    Args:
        optimizer: the optimizer that takes the step; its `iterations` counts the updates before this one.
        index: place of the variable among those of the optimizer.
        variable: the variable.
        value: its value before the step.
        gradient: the gradient, dense, of the variable's shape and dtype.
        rate: the learning rate, a scalar of the variable's dtype.
    """

    optimizer: Any
    index: int
    variable: Any
    value: Any
    gradient: Any
    rate: Any


class UpdateRule:
    """One thing that is done to every step of an optimizer: what is subtracted, or what follows.

    Subclasses list their keywords with the defaults, and override what they need of the methods. `stage` puts
    averages behind the rules that change a step, whatever the order in which a user names them.
    """

    keywords: ClassVar[dict[str, Any]] = {}
    stage: ClassVar[int] = 0

    def scheduled(self, rate: Any) -> Any:
        """Return the learning rate that the optimizer's constructor gets, given what it would have got."""
        return rate

    def attach(self, optimizer: Any) -> None:
        """Change settings of an optimizer whose constructor has run."""

    def besides(self, optimizer: Any, variables: list[Any]) -> list[tuple[Any, list[Any]]]:
        """Return the variables that `move` changes, each with those that have slots in its place."""
        return []

    def build(self, optimizer: Any, variables: list[Any]) -> None:
        """Create the slots of the rule."""

    def takes(self, index: int) -> bool:
        """Whether `move` changes a variable in place of the optimizer."""
        return False

    def move(self, optimizer: Any, index: int, variable: Any, gradient: Any, rate: Any) -> None:
        """Change a variable that the rule takes."""

    def gradient(self, optimizer: Any, index: int, variable: Any, gradient: Any) -> Any:
        """Return the gradient of a variable that the optimizer gets to see."""
        return gradient

    def applies(self, index: int) -> bool:
        """Whether `change` has something to do for a variable."""
        return type(self).change is not UpdateRule.change

    def folded(self, index: int, factor: float, decay: float) -> tuple[float, float] | None:
        """Return what becomes of a variable's factor of the rate and of its decay, where `change` is no more than that.

        Args:
            index: place of the variable.
            factor: what the rules before multiply a step by.
            decay: share of the variable that they subtract besides, times the learning rate.

        Returns:
            Both, after this rule; None where no two numbers say what `change` does.
        """
        return None if self.applies(index) else (factor, decay)

    def change(self, step: Step, change: Any) -> Any:
        """Return what is subtracted from the variable, given what the rules before would subtract."""
        return change

    def after(self, step: Step) -> None:
        """Act on the variable's new value."""

    def options(self) -> dict[str, Any]:
        """Return the keywords with their values, as JSON knows them."""
        return {name: getattr(self, name) for name in self.keywords}

    def config(self, config: dict[str, Any]) -> None:
        """Put the keywords into an optimizer's configuration and take back what `attach` changed."""
        config.update(self.options())


class Composable(RateName):
    """Mixed into an optimizer class, it applies rules to the steps.

    A class of ours defines `step_change(step)`, the amount that is subtracted, and reading and writing a variable
    happens once. For any other Keras optimizer its own `update_step` runs, and the amount is the difference.
    """

    _rules: tuple[UpdateRule, ...] = ()
    _applying = False
    # What multiplies the rates of a schedule; None where the rate is a number.
    _rate_scale: Any = None
    # Set by the accumulation rule: `iterations` counts micro-steps outside of `apply` and updates inside.
    _counts_micro_steps = False
    step_change = None
    # Variables that a rule moves in place of the optimizer, and {id of one that is the rule's own: its index}.
    _taken: tuple[Any, ...] = ()
    _besides: ClassVar[dict[int, int]] = {}

    def __getattr__(self, name: str) -> Any:
        if name in GONE_FROM_OPTIMIZERS:
            raise AttributeError(f"Keras 3's optimizers have no {name}: {GONE_FROM_OPTIMIZERS[name]}")
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __init__(self, *args: Any, **kwargs: Any):
        waiting = vars(self).get("_waiting_rules", ())
        if args:
            kwargs["learning_rate"], args = args[0], args[1:]
        if "lr" in kwargs:
            self._rename_rate(kwargs)
        if "learning_rate" not in kwargs:
            kwargs["learning_rate"] = inspect.signature(super().__init__).parameters["learning_rate"].default
        # Keras takes no whole number for a learning rate.
        rate = kwargs["learning_rate"]
        rate = rate if callable(rate) else float(rate)
        for rule in waiting:
            rate = rule.scheduled(rate)
        super().__init__(rate, *args, **{key: value for key, value in kwargs.items() if key != "learning_rate"})
        if callable(rate):
            self._schedule = rate
            self._rate_scale = self.add_variable(shape=(), initializer="ones", dtype="float32", name="rate_scale")

    def _rename_rate(self, kwargs: dict[str, Any]) -> None:
        """Take the `lr` of old scripts for the learning rate, with a warning."""
        default = _default_rate(type(self))
        if kwargs.get("learning_rate", default) is not default:
            raise TypeError(f"{type(self).__name__}() got learning_rate and its old name lr: leave out lr")
        warnings.warn(f"{type(self).__name__}(lr=...) is now called learning_rate=...", UserWarning, stacklevel=3)
        kwargs["learning_rate"] = kwargs.pop("lr")

    def add_rules(self, *rules: UpdateRule) -> None:
        """Take further rules, in the order from the inside to the outside, and let them set up the optimizer."""
        self._rules = tuple(sorted((*self._rules, *rules), key=lambda rule: rule.stage))
        for rule in rules:
            rule.attach(self)

    def find_rule(self, kind: type[UpdateRule]) -> UpdateRule | None:
        """Return the rule of a kind, if there is one."""
        return next((rule for rule in self._rules if isinstance(rule, kind)), None)

    @property
    def iterations(self):
        """The number of steps made; under gradient accumulation, of micro-steps."""
        if self._counts_micro_steps and not self._applying:
            return keras_private.step_counter(self)
        return super().iterations

    @property
    def learning_rate(self):
        """The learning rate of the step to come: a variable, or what a schedule says.

        Setting it works with schedules too, as callbacks do it (ReduceLROnPlateau, LearningRateScheduler): the rate of
        the step to come gets the value, and all later ones are scaled by as much. Where the schedule is at 0, the value
        is what its factor 1 stands for.
        """
        rate = super().learning_rate
        return rate if self._rate_scale is None else rate * ops.convert_to_tensor(self._rate_scale)

    @learning_rate.setter
    def learning_rate(self, rate):
        set_rate = keras.optimizers.Optimizer.learning_rate.fset
        if self._rate_scale is None:
            set_rate(self, rate)
        elif callable(rate):
            set_rate(self, rate)
            self._schedule = rate
            self._rate_scale.assign(1.0)
        else:
            full = getattr(self._schedule, "learning_rate", 0.0)
            now = float(super().learning_rate) or (0.0 if callable(full) else full)
            if not now:
                raise ValueError(f"The schedule of {self.name} is at 0, which no factor turns into a rate of {rate}")
            self._rate_scale.assign(float(rate) / now)

    def load_own_variables(self, store) -> None:
        """Read the state from a file; those of before rates of schedules could be set lack their scale."""
        own = self.variables
        if self._rate_scale is not None and len(store.keys()) == len(own) - 1:
            place = next(i for i, variable in enumerate(own) if variable is self._rate_scale)
            names = [i for i in range(len(own)) if i != place]
            store = {str(i): store[str(n)] for n, i in enumerate(names)} | {str(place): 1.0}
        super().load_own_variables(store)

    def build(self, variables) -> None:
        """Create the slots of the optimizer and those of the rules."""
        if self.built:
            return
        super().build(variables)
        for rule in self._rules:
            rule.build(self, [*variables, *self._taken])

    def _get_variable_index(self, variable) -> int:
        found = self._besides.get(id(variable))
        return super()._get_variable_index(variable) if found is None else found

    def apply(self, grads, trainable_variables=None) -> None:
        """Update the variables with their gradients."""
        self._applying = True
        try:
            with no_gradient():
                super().apply(grads, trainable_variables)
        finally:
            self._applying = False

    def _backend_apply_gradients(self, grads, trainable_variables) -> None:
        if not (self.gradient_accumulation_steps and must_merge()):
            super()._backend_apply_gradients(grads, trainable_variables)
            return
        accumulate(self, grads, keras_private.accumulated(self, trainable_variables), trainable_variables)

    def ruled_gradient(self, index: int, variable: Any, gradient: Any) -> Any:
        """Return the gradient that a step gets to see: dense, of the variable's type, as the rules change it."""
        return self.through_rules(index, variable, ops.cast(_dense(gradient), variable.dtype))

    def through_rules(self, index: int, variable: Any, gradient: Any) -> Any:
        """Return a dense gradient of the variable's type as the rules change it."""
        for rule in self._rules:
            gradient = rule.gradient(self, index, variable, gradient)
        return gradient

    def update_step(self, gradient, variable, learning_rate) -> None:
        """Change one variable, its moments and the slots of the rules by one step."""
        index = self._get_variable_index(variable)
        rules = [rule for rule in self._rules if rule.applies(index)]
        dtype = variable.dtype
        rate = ops.cast(learning_rate, dtype)
        gradient = self.ruled_gradient(index, variable, gradient)
        step = Step(self, index, variable, variable, gradient, rate)
        taker = next((rule for rule in self._rules if rule.takes(index)), None)
        if taker is not None:
            taker.move(self, index, variable, gradient, learning_rate)
        elif self.step_change is not None:
            step.value = ops.convert_to_tensor(variable)
            change = self.step_change(step)
            for rule in rules:
                change = rule.change(step, change)
            self.assign_sub(variable, change)
        elif rules:
            step.value = ops.copy(variable)
            super().update_step(gradient, variable, learning_rate)
            own = change = step.value - ops.convert_to_tensor(variable)
            for rule in rules:
                change = rule.change(step, change)
            if change is not own:
                self.assign(variable, step.value - change)
        else:
            super().update_step(gradient, variable, learning_rate)
        for rule in self._rules:
            rule.after(step)


def _default_rate(cls: type) -> Any:
    """Return the learning rate that a class of optimizers has by default."""
    for base in cls.__mro__:
        known = inspect.signature(base.__init__).parameters if "__init__" in vars(base) else {}
        if "learning_rate" in known and known["learning_rate"].default is not inspect.Parameter.empty:
            return known["learning_rate"].default
    return None


def _dense(gradient: Any) -> Any:
    """Return TensorFlow's slices of an embedding's gradient as the whole matrix: all rows' moments decay."""
    if type(gradient).__name__ != "IndexedSlices":
        return gradient
    import tensorflow as tf

    return tf.convert_to_tensor(gradient)
