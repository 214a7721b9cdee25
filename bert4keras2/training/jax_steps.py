"""Steps on JAX that leave a model's variables their values: callbacks and other threads may use the model meanwhile.

Keras takes the values away while its loops run and gives them back at the end; what reads them meanwhile fails, and
takes the only copy along. Here a variable holds its value at all times: a training step, which reuses the memory of
the old values, notes the new ones at once, and evaluation and prediction only read.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import keras

from bert4keras2.functional import keras_private
from bert4keras2.functional.live_values import call_with_live_values

__all__ = ["LastingValues"]


class LastingValues:
    """Methods of Keras' trainer on JAX, to be mixed into a keras.Model; on other backends they do what Keras' do."""

    def make_train_function(self, force: bool = False) -> Any:
        """Make what `fit` runs for a step."""
        before = self.train_function
        result = super().make_train_function(force)
        if keeps_values() and self.train_function is not before:
            self.train_function = _TrainFunction(self, self.train_function)
        return result

    def make_test_function(self, force: bool = False) -> Any:
        """Make what `evaluate` runs for a step."""
        if not keeps_values():
            return super().make_test_function(force)
        if self.test_function is None or force:
            self.test_function = _ReadingFunction(self, _test_step, last=True)
        return self.test_function

    def make_predict_function(self, force: bool = False) -> Any:
        """Make what `predict` runs for a step."""
        if not keeps_values():
            return super().make_predict_function(force)
        if self.predict_function is None or force:
            self.predict_function = _ReadingFunction(self, _predict_step, last=False)
        return self.predict_function

    def jax_state_sync(self) -> None:
        """Give the variables the values of a loop under way: they have them, and the loop looks at them again."""
        if keeps_values():
            self._jax_state_synced = True
        else:
            super().jax_state_sync()

    # Whether a loop is to look at the variables again. Of each thread, as each may run a loop.

    @property
    def _jax_state_synced(self) -> bool:
        return id(self) not in _loops()

    @_jax_state_synced.setter
    def _jax_state_synced(self, synced: bool) -> None:
        if synced:
            _loops().discard(id(self))
        else:
            _loops().add(id(self))

    def _purge_model_variables(self, **kinds: bool) -> None:
        if not keeps_values():
            super()._purge_model_variables(**kinds)


_LOCAL = threading.local()


def _loops() -> set[int]:
    """Return the ids of the models whose loops go on from their last state in this thread."""
    return vars(_LOCAL).setdefault("loops", set())


def keeps_values() -> bool:
    """Whether steps are those of this module: on JAX, unless variables are Flax's."""
    if keras.backend.backend() != "jax":
        return False
    flax = getattr(keras.config, "is_nnx_enabled", None)
    return flax is None or not flax()


class _Variables:
    """Variables of one kind, in an object that a model's tracking does not look into."""

    def __init__(self, variables: list[Any]):
        self.variables = list(variables)

    def values(self) -> list[Any]:
        """Return what the variables hold."""
        return [keras_private.raw_value(variable) for variable in self.variables]


class _State(tuple):
    """What a loop of Keras hands from step to step: `_Variables` of each kind, in place of their values."""

    def __init__(self, kinds: Any):
        self.variables = [variable for kind in self for variable in kind.variables]

    def values(self) -> tuple[list[Any], ...]:
        """Return what the variables of each kind hold."""
        return tuple(kind.values() for kind in self)


class _Function:
    """What Keras' loops call for each step, with (state, iterator), for results and the new state."""

    def __init__(self, model: Any):
        self.model = model

    def _variables(self, state: Any) -> _State:
        """Return the variables whose values a state has."""
        if isinstance(state, _State):
            return state
        model = self.model
        kinds = [model.trainable_variables, model.non_trainable_variables]
        if len(state) == 4:
            kinds.append(model.optimizer.variables)
        if len(state) > 2:
            kinds.append(model.metrics_variables)
        return _State(map(_Variables, kinds))

    def _batches(self, iterator: Iterator[Any]) -> list[Any]:
        """Return the batches of a step, at least one."""
        batches = list(itertools.islice(iterator, self.model.steps_per_execution))
        if not batches:
            raise StopIteration
        return batches


class _TrainFunction(_Function):
    """Keras' function for a training step, whose results the variables get at once."""

    def __init__(self, model: Any, function: Callable[[Any, Iterator[Any]], Any]):
        super().__init__(model)
        self._function = function

    def __call__(self, state: Any, iterator: Iterator[Any]) -> tuple[Any, Any]:
        batches, state = self._batches(iterator), self._variables(state)
        logs, new = call_with_live_values(lambda values: self._function(values, iter(batches)), state.values)
        keras_private.set_raw_values(state.variables, itertools.chain.from_iterable(new))
        return logs, state


class _ReadingFunction(_Function):
    """A function for a step that reads trained variables, and changes others at most.

    Args:
        model: the model.
        step: (model, state, data) -> results, and the state after the step without trainable variables.
        last: of several steps per execution, return the last one's results alone; otherwise joined ones.
    """

    def __init__(self, model: Any, step: Callable[[Any, Any, Any], tuple[Any, list[list[Any]]]], last: bool):
        super().__init__(model)
        self._last = last

        def changes(state: Any, data: Any) -> tuple[Any, list[dict[int, Any]]]:
            results, new = step(model, state, data)
            # What came through as it was is not returned: XLA would copy it.
            return results, [
                {i: b for i, (a, b) in enumerate(zip(old, values, strict=True)) if a is not b}
                for old, values in zip(state[1:], new, strict=True)
            ]

        compiles = not model.run_eagerly and model.jit_compile
        if compiles:
            import jax

            changes = jax.jit(changes)
        self._changes = changes

    def __call__(self, state: Any, iterator: Iterator[Any]) -> tuple[Any, Any]:
        state, results = self._variables(state), []
        for data in self._batches(iterator):
            result, changed = call_with_live_values(lambda values, data=data: self._changes(values, data), state.values)
            for kind, new in zip(state[1:], changed, strict=True):
                keras_private.set_raw_values([kind.variables[index] for index in new], new.values())
            results.append(result)
        if self._last or len(results) == 1:
            return results[-1], state
        return keras.tree.map_structure(lambda *parts: keras.ops.concatenate(parts), *results), state


def _test_step(model: Any, state: Any, data: Any) -> tuple[Any, list[list[Any]]]:
    logs, (_, *rest) = model.test_step(state, data)
    return logs, rest


def _predict_step(model: Any, state: Any, data: Any) -> tuple[Any, list[list[Any]]]:
    outputs, fixed = model.predict_step(state, data)
    return outputs, [fixed]
