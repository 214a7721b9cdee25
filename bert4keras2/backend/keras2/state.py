"""The part of `K` with a state: variables and their values, training or not, functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from bert4keras2.backend.keras2.shapes import is_symbolic, ndim
from bert4keras2.functional.registry import register
from bert4keras2.training.rates import ScheduledRate
from bert4keras2.training.train_functions import Fed, LossGradient, gradient_function

__all__ = [
    "batch_get_value",
    "batch_set_value",
    "cast_to_floatx",
    "constant",
    "count_params",
    "eval",
    "function",
    "get_value",
    "in_test_phase",
    "in_train_phase",
    "is_tensor",
    "learning_phase",
    "moving_average_update",
    "name_scope",
    "placeholder",
    "print_tensor",
    "set_learning_phase",
    "set_value",
    "switch",
    "symbolic",
    "update",
    "update_add",
    "update_sub",
    "variable",
]

# -- variables and values --------------------------------------------------------------------------------------------


def variable(value, dtype: str | None = None, name: str | None = None, constraint: Any = None):
    """Return a variable of a value, in floatx unless a dtype is given."""
    if constraint is not None:
        raise ValueError("K.variable() takes no constraint; a layer's add_weight(constraint=...) does")
    return keras.Variable(value, dtype=dtype or keras.config.floatx(), name=name)


def constant(value, dtype: str | None = None, shape: Any = None, name: str | None = None):
    """Return a tensor of a value, in floatx unless a dtype is given; a single number can fill a shape."""
    value = np.asarray(value, dtype or keras.config.floatx()) if dtype != "bfloat16" else np.asarray(value, "float32")
    value = (
        value if shape is None else np.broadcast_to(value, tuple(shape)) if value.size == 1 else value.reshape(shape)
    )
    return ops.convert_to_tensor(value, dtype=dtype or keras.config.floatx())


def get_value(x) -> np.ndarray:
    """Return the value of a tensor or variable as an array."""
    if is_symbolic(x):
        raise ValueError(
            f"{x!r} is symbolic and has no value yet. Compute it with K.function(inputs, outputs), or build"
            " keras.Model(inputs, outputs) and call predict"
        )
    if isinstance(x, ScheduledRate):
        return x.numpy()
    return ops.convert_to_numpy(ops.stop_gradient(x) if ops.is_tensor(x) else x)


eval = get_value


def set_value(x, value) -> None:
    """Give a variable a value."""
    if not hasattr(x, "assign"):
        raise TypeError(f"K.set_value() needs a variable (K.variable, a layer's weight), got {type(x).__name__}")
    x.assign(value)


def batch_get_value(tensors) -> list[np.ndarray]:
    """Return the values of several variables."""
    return [get_value(tensor) for tensor in tensors]


def batch_set_value(tuples) -> None:
    """Give variables values, from pairs (variable, value)."""
    for x, value in tuples:
        set_value(x, value)


def update(x, new_x):
    """Assign to a variable."""
    return x.assign(new_x)


def update_add(x, increment):
    """Add to a variable."""
    return x.assign_add(increment)


def update_sub(x, decrement):
    """Subtract from a variable."""
    return x.assign_sub(decrement)


def moving_average_update(x, value, momentum: float):
    """Set a variable to x * momentum + value * (1 - momentum)."""
    old, new = ops.stop_gradient(ops.convert_to_tensor(x)), ops.stop_gradient(ops.convert_to_tensor(value))
    return x.assign(old * momentum + ops.cast(new, old.dtype) * (1.0 - momentum))


def count_params(x) -> int:
    """Return the number of entries."""
    return int(np.prod(x.shape))


def cast_to_floatx(x):
    """Return an array or tensor in floatx."""
    if ops.is_tensor(x) or is_symbolic(x):
        return ops.cast(x, keras.config.floatx())
    return np.asarray(x, keras.config.floatx())


def is_tensor(x) -> bool:
    """Tell whether `x` is a tensor of the backend or a symbolic one."""
    return ops.is_tensor(x) or is_symbolic(x)


def print_tensor(x, message: str = "", summarize: int = 3):
    """Print what is known of a tensor and return it."""
    print(message, x)
    return x


def placeholder(shape=None, ndim: int | None = None, dtype: str | None = None, sparse: bool = False, name=None):
    """Return a symbolic input; `shape` includes the batch axis."""
    shape = tuple(shape) if shape is not None else (None,) * (ndim or 0)
    return keras.Input(batch_shape=shape, dtype=dtype, sparse=sparse or None, name=name)


def name_scope(name: str):
    """Return a context in which names get a prefix."""
    return keras.name_scope(name)


# -- training or not -------------------------------------------------------------------------------------------------


@register
class InTrainPhase(keras.layers.Layer):
    """Return the first of two inputs while training, else the second."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, training=None):
        """Choose."""
        return inputs[0] if training or (training is None and _default_phase) else inputs[1]

    def compute_mask(self, inputs, mask=None):
        """Pass the first mask on."""
        return mask[0] if isinstance(mask, list | tuple) else mask

    def compute_output_shape(self, input_shape):
        """Return the shape of the inputs."""
        return input_shape[0]


class _Probe(keras.layers.Layer):
    """Tells, when called inside another layer, whether that one is training."""

    found: Any = None

    def call(self, inputs, training=None):
        _Probe.found = training
        return inputs


_default_phase = 0


def learning_phase() -> int:
    """Return 1 inside a layer that is called for training, else 0 (or what `set_learning_phase` set).

    Keras hands `training` to layers as they are called, so there is no symbolic flag: to choose inside a functional
    graph use `in_train_phase`.
    """
    _Probe.found = None
    _Probe(name="learning_phase", dtype="float32")(np.zeros((), "float32"))
    return _default_phase if _Probe.found is None else int(bool(_Probe.found))


def set_learning_phase(value) -> None:
    """Set what counts where no layer is being called: 1 or 0."""
    global _default_phase
    if value not in (0, 1):
        raise ValueError(f"K.set_learning_phase() takes 0 or 1, got {value!r}")
    _default_phase = int(value)


def in_train_phase(x, alt, training=None):
    """Return `x` while training and `alt` otherwise.

    Args:
        x, alt: tensors, or functions without arguments that return them; only the chosen one is called.
        training: True, False, a boolean tensor, or None for what the layer being called was told.
    """
    if training is None and is_symbolic(*[v for v in (x, alt) if not callable(v)]):
        return InTrainPhase()([x() if callable(x) else x, alt() if callable(alt) else alt])
    if training is None:
        training = learning_phase()
    if is_tensor(training):
        return switch(training, x, alt)
    chosen = x if training else alt
    return chosen() if callable(chosen) else chosen


def in_test_phase(x, alt, training=None):
    """Return `alt` while training and `x` otherwise."""
    return in_train_phase(alt, x, training)


def switch(condition, then_expression, else_expression):
    """Choose by a condition.

    Args:
        condition: a scalar chooses as a whole; a tensor chooses along the first axes of the expressions.
        then_expression, else_expression: tensors, or functions without arguments that return them.
    """
    functions = [e if callable(e) else (lambda e=e: e) for e in (then_expression, else_expression)]
    if not is_tensor(condition) and not hasattr(condition, "shape"):
        return functions[0]() if condition else functions[1]()
    condition = ops.cast(condition, "bool")
    if ndim(condition) == 0 and not is_symbolic(condition):
        return ops.cond(condition, *functions)
    chosen, other = (f() for f in functions)
    if ndim(condition) > max(ndim(chosen), ndim(other)):
        raise ValueError(
            f"K.switch() needs a condition with no more axes than the expressions: {ndim(condition)} for {ndim(chosen)}"
        )
    if ndim(condition):
        while ndim(condition) < ndim(chosen):
            condition = ops.expand_dims(condition, -1)
    return ops.where(condition, chosen, other)


# -- functions of symbolic tensors -----------------------------------------------------------------------------------


def function(inputs, outputs, updates: Any = None, name: str | None = None) -> Callable[[Any], Any]:
    """Return a Python function of arrays that computes symbolic outputs.

    Args:
        inputs: symbolic tensors of a functional graph, not only its Inputs; `K.learning_phase()` may be the last, and
            then takes 1 or 0; targets and sample weights of a model are left aside.
        outputs: one symbolic tensor, or a list or dict of them; or gradients of `model.total_loss`.
        updates: not supported; assign to variables in a loop of your own.
        name: name of the model that computes it.

    Returns:
        A function: list of arrays -> arrays in the structure of `outputs`.
    """
    if updates:
        raise ValueError(
            "K.function() takes no updates: assign to the variables (K.set_value, variable.assign) yourself, or write"
            " a train_step"
        )
    if any(isinstance(each, LossGradient) for each in keras.tree.flatten(outputs)):
        return gradient_function(outputs)
    listed = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    given = [x for x in listed if not isinstance(x, Fed)]
    symbolic_inputs = [x for x in given if is_symbolic(x)]
    phase = next((i for i, x in enumerate(given) if not is_symbolic(x)), None)
    if len(given) - len(symbolic_inputs) > 1 or not symbolic_inputs:
        raise ValueError(f"K.function() needs symbolic inputs (model.inputs, a layer's output), got {inputs!r}")
    # Keras before 3.13 has no model whose output is its input.
    known = {id(x) for x in symbolic_inputs}
    wanted = [keras.layers.Identity()(y) if id(y) in known else y for y in keras.tree.flatten(outputs)]
    model = keras.Model(symbolic_inputs, wanted, name=name)

    def compute(values):
        values = list(values) if isinstance(values, list | tuple) else [values]
        if len(values) == len(listed):
            values = [value for value, x in zip(values, listed, strict=True) if not isinstance(x, Fed)]
        if len(values) != len(given):
            raise ValueError(f"This K.function takes {len(listed)} arrays, got {len(values)}")
        training = bool(values.pop(phase)) if phase is not None else bool(_default_phase)
        arrays = [np.asarray(v, x.dtype) for v, x in zip(values, symbolic_inputs, strict=True)]
        results = keras.tree.flatten(model(arrays, training=training))
        return keras.tree.pack_sequence_as(outputs, [get_value(result) for result in results])

    return compute


def symbolic(f):
    """Return the function as it is: in Keras 3 one function takes tensors and symbolic tensors."""
    return f
