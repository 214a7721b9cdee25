"""Optimizers in compile and fit: accumulation, resuming, mixed precision, compilation, saved models."""

from __future__ import annotations

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras2 import optimizers as o

pytestmark = pytest.mark.backend
DECAY = {"weight_decay_rate": 0.05, "exclude_from_weight_decay": ["bias"]}
generator = np.random.default_rng(0)
X = generator.normal(size=(64, 8)).astype("float32")
Y = generator.normal(size=(64, 1)).astype("float32")


def classic(base=o.Adam):
    """Everything at once, in an order that no one would choose."""
    names = ["exponential_moving_average", "gradient_accumulation", "lookahead", "parameter_wise_lr"]
    for name in [*names, "piecewise_linear_lr", "lazy_optimization", "layer_adaptation", "weight_decay"]:
        base = getattr(o, f"extend_with_{name}")(base)
    return base


EVERYTHING = {
    "lr_schedule": {4: 1, 40: 0.1},
    "grad_accum_steps": 2,
    "steps_per_slow_update": 3,
    "slow_step_size": 0.4,
    "ema_momentum": 0.9,
    "paramwise_lr_schedule": {"second": 2},
    "include_in_lazy_optimization": ["first/kernel"],
    "exclude_from_layer_adaptation": ["bias"],
    **DECAY,
}
MAKERS = {
    "adam": lambda: o.Adam(0.01, **DECAY),
    "adafactor": lambda: o.AdaFactor(0.01, min_dim_size_to_factor=4, beta1=0.9),
    "adafactor_none": lambda: o.AdaFactor(None, min_dim_size_to_factor=4),
    "lion": lambda: o.LionV2(0.001),
    "tiger": lambda: o.Tiger(0.01),
    "lamb": lambda: o.LAMB(0.01, exclude_from_layer_adaptation=["bias"], **DECAY),
    "everything": lambda: classic()(0.01, **EVERYTHING),
    "everything_on_lion": lambda: classic(o.Lion)(0.01, **EVERYTHING),
    "everything_on_keras_adam": lambda: classic(keras.optimizers.Adam)(0.01, **EVERYTHING),
    "everything_on_keras_adamw": lambda: classic(keras.optimizers.AdamW)(0.01, clipnorm=1.0, **EVERYTHING),
    "accumulated_keras_sgd": lambda: o.extend_with_gradient_accumulation(keras.optimizers.SGD)(0.01, momentum=0.9),
}


def build(optimizer, dtype=None, **options):
    """Return a compiled model that starts from the same weights each time."""
    keras.utils.set_random_seed(1)
    layers = [
        keras.Input((8,)),
        keras.layers.Dense(6, activation="tanh", name="first", dtype=dtype),
        keras.layers.Dense(1, name="second", dtype=dtype),
    ]
    model = keras.Sequential(layers)
    model.compile(optimizer, "mse", **options)
    return model


def train(model, start, stop, size=8):
    """Train on batches start to stop."""
    for i in range(start, stop):
        rows = slice(i * size % 64, i * size % 64 + size)
        loss = model.train_on_batch(X[rows], Y[rows])
    return float(np.ravel(loss)[0])


def values_of(variables):
    return [np.array(ops.convert_to_numpy(v)) for v in variables]


def values(model):
    return [np.array(w) for w in model.get_weights()]


@pytest.mark.parametrize("maker", [m for m in MAKERS if m not in ("adam", "lion", "everything_on_keras_adam")])
def test_resume(maker, tmp_path):
    """Saved in the middle, loaded and continued: the weights are those of uninterrupted training, bit for bit."""
    whole = build(MAKERS[maker]())
    train(whole, 0, 14)
    first = build(MAKERS[maker]())
    train(first, 0, 7)
    first.save(tmp_path / "model.keras")
    second = keras.saving.load_model(tmp_path / "model.keras")
    assert second.optimizer.get_config() == first.optimizer.get_config()
    assert int(second.optimizer.iterations) == 7
    train(second, 7, 14)
    for a, b in zip(values(whole), values(second), strict=True):
        np.testing.assert_array_equal(a, b)
    assert max(np.abs(a - b).max() for a, b in zip(values(first), values(second), strict=True)) > 1e-4


@pytest.mark.parametrize("maker", ["adam", "adafactor", "adafactor_none", "lion", "everything_on_keras_adam"])
def test_fit(maker):
    model = build(MAKERS[maker]())
    history = model.fit(X, Y, batch_size=8, epochs=6, verbose=0).history["loss"]
    assert np.isfinite(history).all() and history[-1] < history[0]


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("maker", ["everything", "everything_on_keras_adam", "adafactor"])
def test_compiled_is_eager(maker, jit):
    """Graph, XLA and jit compute what the plain calls compute."""
    if jit and keras.backend.backend() == "torch":
        pytest.skip("torch.compile needs a C++ compiler")
    plain = build(MAKERS[maker](), run_eagerly=True)
    fast = build(MAKERS[maker](), jit_compile=jit)
    train(plain, 0, 7)
    train(fast, 0, 7)
    for a, b in zip(values(plain), values(fast), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


@pytest.mark.parametrize(
    "base, options",
    [
        (o.Adam, {}),
        (o.Adam, DECAY),
        (o.Adam, {"clipnorm": 0.1}),
        (o.LAMB, DECAY),
        (o.extend_with_weight_decay(o.Adam), DECAY),
        (o.extend_with_lookahead(o.Adam), {}),
        (o.extend_with_lazy_optimization(o.Adam), {"include_in_lazy_optimization": ["kernel"]}),
        (keras.optimizers.AdamW, {}),
        (keras.optimizers.Adam, {}),
        (keras.optimizers.SGD, {"momentum": 0.9}),
        (o.AdaFactor, {}),
    ],
)
def test_four_small_batches_are_a_large_one(base, options):
    large = build(base(0.001, **options))
    small = build(o.extend_with_gradient_accumulation(base)(0.001, grad_accum_steps=4, **options))
    start = values(large)
    train(large, 0, 6, size=16)
    train(small, 0, 24, size=4)
    assert max(np.abs(a - b).max() for a, b in zip(start, values(large), strict=True)) > 1e-4
    for a, b in zip(values(large), values(small), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6, rtol=0)
    assert int(small.optimizer.iterations) == 24 and int(large.optimizer.iterations) == 6


def test_accumulation_with_averages_counts_updates():
    """Averages see a step per update, and their correction counts updates, in either order of the rules."""
    ema, accumulate = o.extend_with_exponential_moving_average, o.extend_with_gradient_accumulation
    large = build(ema(o.Adam)(0.01, ema_momentum=0.9))
    train(large, 0, 6, size=16)
    large.optimizer.apply_ema_weights()
    for cls in (ema(accumulate(o.Adam)), accumulate(ema(o.Adam))):
        small = build(cls(0.01, ema_momentum=0.9, grad_accum_steps=4))
        train(small, 0, 24, size=4)
        small.optimizer.apply_ema_weights()
        for a, b in zip(values(large), values(small), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5, rtol=0)


class Swap(keras.callbacks.Callback):
    """Puts averaged weights in at the end of an epoch, as evaluation callbacks do, and takes them out again."""

    def __init__(self, optimizer):
        super().__init__()
        self.used = optimizer
        self.outputs = []

    def on_epoch_end(self, epoch, logs=None):
        before = values(self.model)
        self.used.apply_ema_weights()
        self.outputs.append(self.model.predict(X, verbose=0))
        assert max(np.abs(a - b).max() for a, b in zip(before, values(self.model), strict=True)) > 0
        self.used.reset_old_weights()
        np.testing.assert_equal(values(self.model), before)


def test_averages_in_a_callback():
    cls = o.extend_with_exponential_moving_average(o.extend_with_weight_decay(o.Adam), name="AdamEMA")
    optimizer = cls(0.01, ema_momentum=0.9, **DECAY)
    plain, swapped = build(o.Adam(0.01, **DECAY)), build(optimizer)
    plain.fit(X, Y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    callback = Swap(optimizer)
    swapped.fit(X, Y, batch_size=8, epochs=3, shuffle=False, verbose=0, callbacks=[callback])
    assert len(callback.outputs) == 3
    for a, b in zip(values(plain), values(swapped), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_averages_out_of_order():
    optimizer = o.extend_with_exponential_moving_average(o.Adam)(0.01)
    model = build(optimizer)
    with pytest.raises(ValueError, match="before the first step"):
        optimizer.apply_ema_weights()
    train(model, 0, 2)
    with pytest.raises(ValueError, match="has not been called"):
        optimizer.reset_old_weights()
    before = values(model)
    optimizer.apply_ema_weights()
    optimizer.apply_ema_weights()
    optimizer.reset_old_weights()
    np.testing.assert_equal(values(model), before)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("maker", ["everything", "everything_on_keras_adamw", "adafactor"])
def test_mixed_precision(maker, policy, tmp_path):
    model = build(MAKERS[maker](), dtype=policy)
    if policy == "mixed_float16":
        model.compile(keras.optimizers.LossScaleOptimizer(MAKERS[maker](), initial_scale=1024.0), "mse")
    train(model, 0, 4)
    assert {w.dtype for w in values(model)} == {np.dtype("float32")}
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    train(model, 4, 8)
    train(loaded, 4, 8)
    for a, b in zip(values(model), values(loaded), strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_array_equal(a, b)
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    assert int(optimizer.iterations) == 8


def test_loss_scale_skips_bad_steps():
    """A gradient that is not finite leaves weights, slots and the count of micro-steps as they are."""
    inner = MAKERS["everything"]()
    optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=4.0)
    weight = keras.Variable(np.ones((2, 2), "float32"), name="weight")
    with pytest.warns(UserWarning, match="fits none"):
        optimizer.build([weight])
    gradient = ops.ones((2, 2)) * float("inf")
    before = values_of(optimizer.variables)
    if keras.backend.backend() == "jax":
        state = [v.value for v in optimizer.variables]
        trained, state = optimizer.stateless_apply(state, [gradient], [weight.value])
    else:
        optimizer.apply([gradient], [weight])
        trained, state = [weight], optimizer.variables
    np.testing.assert_equal(values_of(trained), [np.ones((2, 2))])
    for variable, old, new in zip(optimizer.variables, before, values_of(state), strict=True):
        np.testing.assert_equal(new, 2.0 if "dynamic_scale" in variable.path else old)


LOAD = """
import sys, keras, numpy as np
import bert4keras2.optimizers
model = keras.saving.load_model(sys.argv[1])
print(type(model.optimizer).__name__, int(model.optimizer.iterations), model.optimizer.grad_accum_steps)
"""


@pytest.mark.slow
def test_loads_in_a_process_that_never_made_the_class(tmp_path):
    cls = o.extend_with_gradient_accumulation(o.extend_with_weight_decay(keras.optimizers.Adam), name="AdamWG")
    model = build(cls(0.01, grad_accum_steps=3))
    train(model, 0, 4)
    model.save(tmp_path / "model.keras")
    command = [sys.executable, "-c", LOAD, str(tmp_path / "model.keras")]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), timeout=300)
    assert done.stdout.split()[-3:] == ["AdamWG", "4", "3"], done.stderr
