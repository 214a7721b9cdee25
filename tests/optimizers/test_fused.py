"""Adam's kernel on PyTorch makes the step that the operations one by one make."""

from __future__ import annotations

import importlib

import keras
import numpy as np
import pytest

from bert4keras2.optimizers import (
    Adam,
    extend_with_child_tuning,
    extend_with_exponential_moving_average,
    extend_with_layerwise_decay,
    extend_with_lazy_optimization,
    extend_with_parameter_wise_lr,
    extend_with_weight_decay,
)

pytestmark = [pytest.mark.backend, pytest.mark.skipif(keras.backend.backend() != "torch", reason="PyTorch's kernel")]
DECAY = {"weight_decay_rate": 0.1, "exclude_from_weight_decay": ["bias"]}
RATES = {"paramwise_lr_schedule": {"kernel": 0.5}}


def decayed_then_scaled(**kwargs):
    return extend_with_parameter_wise_lr(extend_with_weight_decay(Adam))(0.01, **DECAY, **RATES, **kwargs)


CASES = {
    "plain": lambda: Adam(0.01),
    "no correction": lambda: Adam(0.01, bias_correction=False),
    "decay": lambda: Adam(0.01, **DECAY),
    "decay, then factors": decayed_then_scaled,
    "factors, then decay": lambda: extend_with_weight_decay(extend_with_parameter_wise_lr(Adam))(
        0.01, **DECAY, **RATES
    ),
    "blocks": lambda: extend_with_layerwise_decay(Adam)(0.01, layer_decay=0.5),
    "child": lambda: extend_with_child_tuning(Adam)(0.01, child_seed=1),
    "average": lambda: extend_with_exponential_moving_average(Adam)(0.01, ema_momentum=0.5),
    "clipped": lambda: Adam(0.01, global_clipnorm=0.1),
    "accumulated": lambda: Adam(0.01, gradient_accumulation_steps=2),
    "float64": lambda: Adam(0.01, bias_correction=False),
    "lazy": lambda: extend_with_lazy_optimization(Adam)(0.01, include_in_lazy_optimization=["kernel"]),
    "no epsilon": lambda: Adam(0.01, epsilon=0),
}


def trained(make, dtype):
    """Return the variables of a model, and all of its optimizer's, after steps on the same gradients."""
    random = np.random.default_rng(0)
    variables = []
    for scope, name, shape in (
        ("Transformer-0-x", "kernel", (4, 3)),
        ("Transformer-1-x", "kernel", (3, 4)),
        ("y", "bias", (3,)),
    ):
        with keras.name_scope(scope):
            variables.append(keras.Variable(random.normal(size=shape), dtype=dtype, name=name))
    optimizer = make()
    optimizer.build(variables)
    for _ in range(6):
        optimizer.apply([keras.ops.convert_to_tensor(random.normal(size=v.shape), dtype) for v in variables])
    return [keras.ops.convert_to_numpy(v) for v in [*variables, *optimizer.variables]]


@pytest.mark.parametrize("name", CASES)
def test_same_step(name, monkeypatch):
    module = importlib.import_module("torch.optim.adamw")
    calls, kernel = [], module.adamw
    monkeypatch.setattr(module, "adamw", lambda *args, **kwargs: (calls.append(1), kernel(*args, **kwargs)))
    dtype = "float64" if name == "float64" else "float32"
    fast = trained(CASES[name], dtype)
    assert bool(calls) == (name != "no epsilon")
    monkeypatch.setattr("bert4keras2.optimizers.adam.fused_adam", lambda o, p, g, variables, r: range(len(variables)))
    slow = trained(CASES[name], dtype)
    for a, b in zip(fast, slow, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-7)


def test_a_subclass_has_its_own_step():
    class Mine(Adam):
        def step_change(self, step):
            return keras.ops.ones_like(step.value)

    variable = keras.Variable(np.zeros(3, "float32"))
    optimizer = Mine(0.01)
    optimizer.build([variable])
    optimizer.apply([keras.ops.ones(3)])
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), [-1, -1, -1])
