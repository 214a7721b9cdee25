"""The part of `K` that draws random numbers and loops over time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from bert4keras2.backend.keras2.shapes import is_symbolic, sizes
from bert4keras2.functional import keras_private

__all__ = [
    "dropout",
    "map_fn",
    "random_bernoulli",
    "random_binomial",
    "random_normal",
    "random_uniform",
    "rnn",
    "truncated_normal",
]

# -- random numbers --------------------------------------------------------------------------------------------------
# Without a seed they continue Keras' global stream, which `keras.utils.set_random_seed` starts. JAX allows that outside
# of compiled functions only: a layer has to own a `keras.random.SeedGenerator` and pass it as `seed`.


def random_uniform(shape, minval=0.0, maxval=1.0, dtype: str | None = None, seed: Any = None):
    """Return numbers drawn evenly from [minval, maxval)."""
    dtype = dtype or keras.config.floatx()
    if "int" in dtype:
        return keras.random.randint(sizes(shape), int(minval), int(maxval), dtype=dtype, seed=seed)
    return keras.random.uniform(sizes(shape), minval, maxval, dtype=dtype, seed=seed)


def random_normal(shape, mean=0.0, stddev=1.0, dtype: str | None = None, seed: Any = None):
    """Return numbers drawn from a normal distribution."""
    return keras.random.normal(sizes(shape), mean, stddev, dtype=dtype, seed=seed)


def truncated_normal(shape, mean=0.0, stddev=1.0, dtype: str | None = None, seed: Any = None):
    """Return numbers drawn from a normal distribution cut at two standard deviations."""
    return keras.random.truncated_normal(sizes(shape), mean, stddev, dtype=dtype, seed=seed)


def random_binomial(shape, p: float = 0.0, dtype: str | None = None, seed: Any = None):
    """Return 1 with probability `p`, else 0."""
    dtype = dtype or keras.config.floatx()
    return ops.cast(keras.random.uniform(sizes(shape), seed=seed) < p, dtype)


random_bernoulli = random_binomial


def dropout(x, level: float, noise_shape=None, seed: Any = None):
    """Set a share `level` of the entries to 0 and scale up the others."""
    return keras.random.dropout(x, level, noise_shape=noise_shape, seed=seed)


# -- loops -----------------------------------------------------------------------------------------------------------


def map_fn(fn: Callable, elems, name: str | None = None, dtype: str | None = None):
    """Apply a function to each entry of the first axis."""
    result = ops.map(fn, elems)
    return result if dtype is None else ops.cast(result, dtype)


class _Loop(keras.Operation):
    """A recurrent loop in a functional graph; its step is a Python function, so it cannot be saved in a file."""

    def __init__(self, step_function: Callable, options: dict[str, Any]):
        super().__init__(name=None)
        self.step_function, self.options = step_function, options

    def call(self, inputs, initial_states, mask=None, constants=None):
        # The very loop of keras.layers.RNN, which handles unknown lengths and all backends, has no public name.
        loop = keras_private.rnn_loop()

        def step(x, states):  # constants by closure: that loop forgets them on JAX
            return self.step_function(x, [*states, *(constants or [])])

        states = list(initial_states)
        if mask is None or keras.backend.backend() != "jax":
            return loop(step, inputs, states, mask=mask, **self.options)

        def with_output(x, states):  # on JAX it takes the first state for the output of the step before
            output, new = step(x, states[1:])
            return output, [output, *new]

        first = keras.tree.map_structure(lambda x: x[0] if self.options["time_major"] else x[:, 0], inputs)
        before = ops.zeros_like(step(first, states)[0])
        last, outputs, states = loop(with_output, inputs, [before, *states], mask=mask, **self.options)
        return last, outputs, list(states)[1:]


def rnn(
    step_function: Callable,
    inputs,
    initial_states,
    go_backwards: bool = False,
    mask=None,
    constants=None,
    unroll: bool = False,
    input_length: Any = None,
    time_major: bool = False,
    zero_output_for_mask: bool = False,
    return_all_outputs: bool = True,
):
    """Call a function once per time step.

    Args:
        step_function: (input of a step (B, ...), states + constants) -> (output (B, ...), new states).
        inputs: (B, T, ...), or (T, B, ...) if `time_major`.
        initial_states: list of (B, ...) tensors.
        go_backwards: start at the end.
        mask: (B, T) booleans; states and outputs stay as they were where it is false.
        constants: further tensors for each step.
        unroll: write the loop out, for a known and small T.
        input_length: accepted for old scripts; lengths come from `mask`.
        time_major: the time axis comes first, in the outputs too.
        zero_output_for_mask: put zeros out where the mask is false.
        return_all_outputs: False returns the last output only, (B, 1, ...).

    Returns:
        (last output (B, ...), outputs (B, T, ...), final states).
    """
    options = {
        "go_backwards": go_backwards,
        "unroll": unroll,
        "input_length": input_length,
        "time_major": time_major,
        "zero_output_for_mask": zero_output_for_mask,
        "return_all_outputs": return_all_outputs,
    }
    loop = _Loop(step_function, options)
    call = loop if is_symbolic(inputs, initial_states, mask, constants) else loop.call
    return call(inputs, initial_states, mask=mask, constants=constants)
