"""Rules, schedules and patterns on their own: options, errors, and numbers that follow from a definition."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops
from problem import gradients, values, variables

from bert4keras2 import optimizers as o

pytestmark = pytest.mark.backend
FACTORIES = [name for name in o.__all__ if name.startswith("extend_with")]


def once(optimizer, count=1):
    """Return the weights' values after some steps."""
    weights = variables()
    for step in range(count):
        optimizer.apply(gradients(step), weights)
    return values(weights)


def close(a, b, **tolerance):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, **{"rtol": 1e-6, "atol": 1e-7, **tolerance})


@pytest.mark.parametrize("name", FACTORIES)
def test_factories(name):
    cls = getattr(o, name)(o.Adam, name="Mine")
    assert cls.__name__ == "Mine" and issubclass(cls, o.Adam) and cls is not o.Adam
    assert getattr(o, name)(keras.optimizers.SGD).__name__ == "ExtendedSGD"
    assert np.isfinite(once(cls(0.01))[0]).all()
    with pytest.raises(ValueError, match="already"):
        getattr(o, name)(cls)
    with pytest.raises(TypeError, match="class of optimizers"):
        getattr(o, name)(o.Adam())
    with pytest.raises(TypeError, match="goes outside"):
        getattr(o, name)(keras.optimizers.LossScaleOptimizer)


def test_order_of_averages_and_accumulation_is_free():
    """Rules that look at the result of a step come last, whatever the order in the script."""
    names = ["weight_decay", "exponential_moving_average", "lookahead", "gradient_accumulation"]
    found = []
    for order in (names, names[::-1]):
        cls = o.Adam
        for name in order:
            cls = getattr(o, f"extend_with_{name}")(cls)
        optimizer = cls(0.01, weight_decay_rate=0.1, ema_momentum=0.5)
        weights = variables()
        for step in range(6):
            optimizer.apply(gradients(step), weights)
        optimizer.apply_ema_weights()
        found.append(values(weights))
    close(*found, rtol=0, atol=0)


def test_lamb_is_decay_then_adaptation():
    cls = o.extend_with_layer_adaptation(o.extend_with_weight_decay(o.Adam))
    options = {
        "weight_decay_rate": 0.1,
        "exclude_from_weight_decay": ["Norm"],
        "exclude_from_layer_adaptation": ["bias"],
    }
    close(once(o.LAMB(0.01, **options), 4), once(cls(0.01, **options), 4))
    other = o.extend_with_weight_decay(o.extend_with_layer_adaptation(o.Adam))
    assert np.abs(once(o.LAMB(0.01, **options), 4)[0] - once(other(0.01, **options), 4)[0]).max() > 1e-4


def test_keras_bases():
    """A rule on a Keras optimizer does what Keras' own option does."""
    decayed = o.extend_with_weight_decay(keras.optimizers.Adam)(0.01, weight_decay_rate=0.1)
    close(once(decayed, 3), once(keras.optimizers.AdamW(0.01, weight_decay=0.1), 3))
    averaged = o.extend_with_gradient_accumulation(keras.optimizers.Adam)(0.01, grad_accum_steps=3)
    close(once(averaged, 6), once(keras.optimizers.Adam(0.01, gradient_accumulation_steps=3), 6))
    scheduled = o.extend_with_piecewise_linear_lr(keras.optimizers.SGD)(0.1, lr_schedule={2: 1})
    close(once(scheduled, 1), values(variables()))
    scaled = o.extend_with_parameter_wise_lr(keras.optimizers.SGD)(
        0.1, paramwise_lr_schedule={"Embedding": 0.5, "Token": 4, "gamma": 0}
    )
    start, plain = values(variables()), once(keras.optimizers.SGD(0.1))
    factors = [2, 1, 1, 0]
    close(once(scaled), [s + f * (p - s) for s, p, f in zip(start, plain, factors, strict=True)], atol=1e-6)


@pytest.mark.parametrize(
    "cls",
    [o.Adam, o.AdaFactor, o.Lion, o.LAMB, *(o.extend_with_weight_decay(b) for b in (o.Adam, keras.optimizers.SGD))],
)
def test_lr_is_learning_rate(cls):
    """Scripts of tf.keras pass `lr`; one warning."""
    with pytest.warns(UserWarning, match=r"\(lr=...\) is now called learning_rate") as caught:
        optimizer = cls(lr=0.25)
    assert len(caught) == 1 and float(optimizer.learning_rate) == 0.25
    assert cls.from_config(optimizer.get_config()).get_config() == optimizer.get_config()
    with pytest.raises(TypeError, match="learning_rate and its old name lr"):
        cls(0.5, lr=0.25)
    with pytest.raises((TypeError, ValueError), match="nothing_known"):
        cls(nothing_known=1)


def test_lr_under_a_schedule():
    with pytest.warns(UserWarning, match="now called"):
        optimizer = o.extend_with_piecewise_linear_lr(o.Adam)(lr=2, lr_schedule={0: 0.5, 10: 1})
    assert float(optimizer.learning_rate) == 1


def test_adam_epsilon():
    """Without epsilon, entries that never had a gradient stay, and others move by the rate in the first step."""
    start, found = values(variables()), once(o.Adam(0.01, epsilon=0))
    gradient = ops.convert_to_numpy(gradients(0)[0])
    np.testing.assert_equal(found[0][gradient == 0], start[0][gradient == 0])
    moved = (found[0] - start[0])[gradient != 0]
    np.testing.assert_allclose(np.abs(moved), 0.01, rtol=1e-4)
    assert o.Adam(epsilon=None).epsilon == keras.config.epsilon()
    assert np.isfinite(once(o.Adam(0.01, epsilon=0), 12)[0]).all()


def test_adafactor_shapes():
    from bert4keras2.optimizers.adafactor import factored_axes

    assert factored_axes((10, 6), 4) == (0, 1) and factored_axes((6, 10), 4) == (1, 0)
    assert factored_axes((3, 10, 6), 4) == (1, 2) and factored_axes((10, 6), 7) is None
    assert factored_axes((10,), 1) is None and factored_axes((), 1) is None
    optimizer = o.AdaFactor(min_dim_size_to_factor=4)
    optimizer.build(variables())
    assert [tuple(s.shape) for s in optimizer._second[0]] == [(1, 6), (10, 1)]


def test_adafactor_rate():
    """None is the relative step size; whole numbers are numbers; a schedule multiplies either."""
    optimizer = o.AdaFactor(None)
    assert float(optimizer.learning_rate) == pytest.approx(0.01)
    optimizer.iterations.assign(39999)
    assert float(optimizer.learning_rate) == pytest.approx(0.005)
    assert float(o.AdaFactor(None, multiply_by_parameter_scale=False).learning_rate) == pytest.approx(0.0005)
    scheduled = o.extend_with_piecewise_linear_lr(o.AdaFactor)(None, lr_schedule={0: 0.5})
    assert float(scheduled.learning_rate) == pytest.approx(0.005)
    again = type(scheduled).from_config(scheduled.get_config())
    assert float(again.learning_rate) == pytest.approx(0.005)
    assert float(o.AdaFactor(1).learning_rate) == 1


def test_schedule_counts_micro_steps():
    cls = o.extend_with_gradient_accumulation(o.extend_with_piecewise_linear_lr(o.Adam))
    optimizer = cls(0.1, lr_schedule={4: 1}, grad_accum_steps=4)
    weights = variables()
    for step in range(4):
        assert float(optimizer.learning_rate) == pytest.approx(0.1 * step / 4) and int(optimizer.iterations) == step
        optimizer.apply(gradients(step), weights)


@pytest.mark.parametrize("schedule", [{1000: 1, 500: 0.1}, [(5, 1), (5, 0.5)], {"20": 1, 20: 0.5}])
def test_schedule_increases(schedule):
    with pytest.raises(ValueError, match="increase; step .* in "):
        o.PiecewiseLinear(1e-3, schedule)
    with pytest.raises(ValueError, match="increase; step .* in "):
        o.extend_with_piecewise_linear_lr(o.Adam)(1e-3, lr_schedule=schedule)


def test_bad_schedules():
    with pytest.raises(ValueError, match="at least one"):
        o.PiecewiseLinear(1e-3, {})
    with pytest.raises(ValueError, match="step -1"):
        o.PiecewiseLinear(1e-3, {-1: 1})
    with pytest.raises(ValueError, match="whole numbers; found 0.1"):
        o.PiecewiseLinear(1e-3, {0.1: 1})


def test_schedule_of_a_schedule():
    inner = keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    schedule = o.PiecewiseLinear(inner, {"0": 1, "2": 0})
    again = o.PiecewiseLinear.from_config(schedule.get_config())
    for step, rate in ((0, 0.1), (1, 0.025), (2, 0)):
        assert float(schedule(step)) == pytest.approx(rate) == float(again(step))


@pytest.mark.parametrize("option", ["exclude_from_weight_decay", "exclude_from_layer_adaptation"])
def test_bad_pattern(option):
    with pytest.raises(ValueError, match=f"{option}: '\\[' is no regular expression"):
        o.LAMB(**{option: ["["]})
    with pytest.raises(ValueError, match="write \\['bias'\\]"):
        o.LAMB(**{option: "bias"})
    with pytest.raises(ValueError, match="is no regular expression"):
        o.Adam(exclude_from_weight_decay=["["])


@pytest.mark.parametrize(
    "name, options",
    [
        ("weight_decay", {"exclude_from_weight_decay": ["norm"]}),
        ("layer_adaptation", {"exclude_from_layer_adaptation": ["norm"]}),
        ("lazy_optimization", {"include_in_lazy_optimization": ["norm"]}),
        ("parameter_wise_lr", {"paramwise_lr_schedule": {"norm": 2}}),
    ],
)
def test_unmatched_pattern(name, options):
    """Patterns are case-sensitive, so "norm" fits nothing: a warning that shows the names there are."""
    optimizer = getattr(o, f"extend_with_{name}")(o.Adam)(0.1, **options)
    with pytest.warns(UserWarning, match="'norm' fits none of the 4 variables.*'Embedding-Token/embeddings'"):
        optimizer.build(variables())
    with pytest.warns(UserWarning, match=f"{next(iter(options))}: 'norm'"):
        getattr(o, f"extend_with_{name}")(o.AdaFactor)(0.1, **options).build(variables())


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("gradient_accumulation", {"grad_accum_steps": 0}, "grad_accum_steps is a whole number"),
        ("gradient_accumulation", {"gradient_accumulation_steps": 2}, "not both"),
        ("lookahead", {"steps_per_slow_update": 0}, "steps_per_slow_update"),
        ("lookahead", {"slow_step_size": 0}, "slow_step_size"),
        ("exponential_moving_average", {"ema_momentum": 1}, "ema_momentum"),
        ("exponential_moving_average", {"use_ema": True}, "use_ema"),
        ("weight_decay", {"weight_decay": 0.1, "lr_shedule": {}}, "lr_shedule"),
    ],
)
def test_bad_options(name, options, message):
    with pytest.raises(ValueError, match=message):
        getattr(o, f"extend_with_{name}")(o.Adam)(0.1, **options)


def test_one_micro_batch_is_no_accumulation():
    cls = o.extend_with_gradient_accumulation(o.Adam)
    close(once(cls(0.01, grad_accum_steps=1), 3), once(o.Adam(0.01), 3), atol=0, rtol=0)


@keras.saving.register_keras_serializable("tests")
class Halved(o.extend_with_weight_decay(o.Adam)):
    """A user's subclass of a made class."""

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient, variable, learning_rate / 2)


def test_subclass_of_a_made_class():
    cls = o.extend_with_piecewise_linear_lr(Halved)
    optimizer = cls(0.02, lr_schedule={0: 1}, weight_decay_rate=0.1)
    close(once(optimizer, 3), once(o.Adam(0.01, weight_decay_rate=0.1), 3))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert isinstance(again, Halved) and again.get_config() == optimizer.get_config()
    alone = Halved(0.02, weight_decay_rate=0.1)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(alone))
    assert type(again) is Halved and again.get_config() == alone.get_config()


def test_unknown_base():
    class Local(o.Adam):
        pass

    saved = keras.saving.serialize_keras_object(o.extend_with_lookahead(Local)())
    with pytest.raises(ValueError, match="'Local' that is not known here: register it"):
        keras.saving.deserialize_keras_object(saved)
    found = keras.saving.deserialize_keras_object(saved, custom_objects={"Local": Local})
    assert isinstance(found, Local)
