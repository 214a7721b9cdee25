"""Every recorded step of the reference's optimizers, except for its named defects."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from problem import CASES, STEPS, arrays, assert_recorded, gradients, info, make, make_class, values, variables

pytestmark = pytest.mark.backend

# Expected to differ from the recorded numbers, because the reference has a defect that is not kept.
LAGGED = "the reference applied a zero gradient first, and every accumulated gradient one micro-step late"
ZERO = "the reference started the slow weights at zero, which pulls all weights towards zero"
DIFFERENT = {
    "adam_gradient_accumulation": LAGGED,
    "adamw_lr_accumulation": LAGGED,
    "lamb_lr_accumulation": LAGGED,
    "adam_lookahead": ZERO,
    "adam_lr_lookahead": ZERO,
}


def run(optimizer, sparse=False):
    """Return the values before the first step and after each."""
    weights = variables()
    found = [values(weights)]
    for step in range(STEPS):
        optimizer.apply(gradients(step, sparse), weights)
        found.append(values(weights))
    return found, weights


@pytest.mark.parametrize("case", [case for case in CASES if case not in DIFFERENT])
def test_recorded(case):
    optimizer = make(case)
    found, weights = run(optimizer, info(case).get("sparse", False))
    for step, value in enumerate(found):
        assert_recorded(value, case, step)
    if info(case).get("ema"):
        optimizer.apply_ema_weights(bias_correction=False)
        assert_recorded(values(weights), case, STEPS, "ema_no_correction")
        optimizer.apply_ema_weights()
        assert_recorded(values(weights), case, STEPS, "ema")
        optimizer.reset_old_weights()
        assert_recorded(values(weights), case, STEPS, "reset")
        np.testing.assert_equal(values(weights), found[-1])


@pytest.mark.parametrize("case", CASES)
def test_config(case):
    """Configurations come back, by the class and by Keras."""
    optimizer = make(case)
    config = optimizer.get_config()
    assert type(optimizer).from_config(optimizer.get_config()).get_config() == config
    saved = keras.saving.serialize_keras_object(optimizer)
    loaded = keras.saving.deserialize_keras_object(saved)
    assert loaded.get_config() == config and type(loaded).__name__ == type(optimizer).__name__
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.get_config() == config


@pytest.mark.parametrize("case", DIFFERENT)
def test_differs(case):
    """The cases that are expected to differ do differ, so the list above holds no case by mistake."""
    found, _ = run(make(case))
    assert max(np.abs(v - arrays(case)[f"weights/{i}"][STEPS]).max() for i, v in enumerate(found[-1])) > 1e-3


@pytest.mark.parametrize("case", [case for case in DIFFERENT if DIFFERENT[case] is LAGGED])
def test_accumulation_lag_alone_differs(case):
    """With the reference's lag played by hand, the same rules give its numbers: nothing else differs."""
    optimizer, weights = make(case, ("gradient_accumulation",), ("grad_accum_steps",)), variables()
    optimizer.build(weights)
    waiting = [np.zeros(w.shape, "float32") for w in weights]
    for step in range(STEPS):
        if step % 2 == 0:
            optimizer.iterations.assign(step)
            optimizer.apply([keras.ops.convert_to_tensor(g / 2) for g in waiting], weights)
            waiting = [np.zeros_like(g) for g in waiting]
        waiting = [g + values([new])[0] for g, new in zip(waiting, gradients(step), strict=True)]
        assert_recorded(values(weights), case, step + 1)


@pytest.mark.parametrize("case", [case for case in DIFFERENT if DIFFERENT[case] is LAGGED])
def test_accumulation(case):
    """Two micro-batches are one step with the mean gradient, at the learning rate of the second micro-step."""
    optimizer, plain = (
        make(case),
        make(case, ("gradient_accumulation", "piecewise_linear_lr"), ("grad_accum_steps", "lr_schedule")),
    )
    weights, other = variables(), variables()
    plain.build(other)
    rate = plain.learning_rate
    for step in range(0, STEPS, 2):
        before = values(weights)
        optimizer.apply(gradients(step), weights)
        np.testing.assert_equal(values(weights), before)
        assert int(optimizer.iterations) == step + 1
        current = float(optimizer.learning_rate)
        optimizer.apply(gradients(step + 1), weights)
        plain.learning_rate = current
        plain.apply([(a + b) / 2 for a, b in zip(gradients(step), gradients(step + 1), strict=True)], other)
        for a, b in zip(values(weights), values(other), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6, rtol=1e-6)
    assert rate is not None and int(optimizer.iterations) == STEPS


@pytest.mark.parametrize("case", [case for case in DIFFERENT if DIFFERENT[case] is ZERO])
@pytest.mark.parametrize("from_zero", [True, False])
def test_lookahead(case, from_zero):
    """Slow weights from the weights; with slow weights from zero, the same steps give the recorded numbers."""
    options = make(case).get_config()
    every, share = options["steps_per_slow_update"], options["slow_step_size"]
    fast = make(case, ("lookahead",), ("steps_per_slow_update", "slow_step_size"))
    weights = variables()
    slow = [w * (0 if from_zero else 1) for w in values(weights)]
    found, _ = run(make(case))
    for step in range(STEPS):
        fast.apply(gradients(step), weights)
        if step % every == 0:
            slow = [s + share * (w - s) for s, w in zip(slow, values(weights), strict=True)]
            for variable, value in zip(weights, slow, strict=True):
                variable.assign(value)
        if from_zero:
            assert_recorded(values(weights), case, step + 1)
        else:
            for a, b in zip(values(weights), found[step + 1], strict=True):
                np.testing.assert_allclose(b, a, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("case", ["adam_sparse", "adamw_lr_accumulation", "adam_lazy_optimization", "adafactor"])
def test_slices(case):
    """TensorFlow's slices of an embedding's gradient are the same as the whole gradient."""
    for a, b in zip(run(make(case))[0], run(make(case), sparse=True)[0], strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-7)


def test_classes_are_named_and_inherit():
    cls = make_class("adamw_lr_ema")
    assert issubclass(cls, keras.optimizers.Optimizer) and "ema_momentum" in cls.__doc__
