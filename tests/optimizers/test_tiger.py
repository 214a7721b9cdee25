"""Tiger against its formula, step by step."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras2.optimizers import Lion, Tiger, extend_with_weight_decay
from bert4keras2.pretraining import PretrainingConfig
from bert4keras2.pretraining.optimizing import make_optimizer

pytestmark = pytest.mark.backend
STARTS = {
    "Embedding-Token/embeddings": np.array([[0.1, -0.3, 0.2], [0.5, 0.5, -0.5]], "float32"),
    "Dense/kernel": np.array([[0.4, -0.2], [0.1, 0.3]], "float32"),
    "Dense/bias": np.array([0.0, 0.1], "float32"),
    "Norm/gamma": np.array([1.0, 1.1], "float32"),
    "Zeros/kernel": np.zeros((2, 2), "float32"),
}


def variables(starts=STARTS):
    made = []
    for path, start in starts.items():
        made.append(keras.Variable(start, name=path.rsplit("/", 1)[-1]))
        made[-1]._path = path
    return made


def gradients(seed, starts=STARTS):
    random = np.random.default_rng(seed)
    return [random.normal(size=start.shape).astype("float32") for start in starts.values()]


def arrays(weights):
    return [np.array(ops.convert_to_numpy(w)) for w in weights]


def apply(optimizer, found, weights):
    optimizer.apply([ops.convert_to_tensor(g) for g in found], weights)


def by_hand(steps, rate=1e-2, beta=0.965, decay=0.01):
    """Return the weights after each step, in NumPy as the post has it."""
    weights, momenta = [w.copy() for w in STARTS.values()], [np.zeros_like(w) for w in STARTS.values()]
    for step in range(steps):
        for i, (path, gradient) in enumerate(zip(STARTS, gradients(step), strict=True)):
            momenta[i] = beta * momenta[i] + (1 - beta) * gradient
            small = path.endswith(("bias", "gamma"))
            squares = np.square(weights[i])
            scale = np.sqrt(squares.mean(-1, keepdims=True) if path.endswith("embeddings") else squares.mean())
            scale = 0.5 if small else np.maximum(scale, 0.02 if path.startswith("Zeros") else 0)
            weights[i] = weights[i] - rate * scale * (np.sign(momenta[i]) + (0 if small else decay) * weights[i])
        yield [w.copy() for w in weights]


def test_steps_are_those_of_the_formula():
    optimizer, weights = Tiger(1e-2), variables()
    for step, expected in enumerate(by_hand(5)):
        apply(optimizer, gradients(step), weights)
        for value, wanted in zip(arrays(weights), expected, strict=True):
            np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-7)


def test_without_scales_it_is_lion_with_one_beta():
    own, other = variables(), variables()
    tiger = Tiger(1e-2, 0.9, weight_decay_rate=0.1, exclude_from_weight_decay=(), parameter_scale=False)
    lion = extend_with_weight_decay(Lion)(1e-2, beta_1=0.9, beta_2=0.9, weight_decay_rate=0.1)
    for step in range(5):
        apply(tiger, gradients(step), own)
        apply(lion, gradients(step), other)
    for value, wanted in zip(arrays(own), arrays(other), strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-6, atol=1e-8)


def test_micro_batches_make_the_step_of_their_mean_without_a_buffer():
    own, other = variables(), variables()
    parts, whole = Tiger(1e-2, grad_accum_steps=3), Tiger(1e-2)
    for step in range(4):
        batches = [gradients(10 * step + part) for part in range(3)]
        for part, batch in enumerate(batches):
            before = arrays(own)
            apply(parts, batch, own)
            moved = any((a != b).any() for a, b in zip(before, arrays(own), strict=True))
            assert moved == (part == 2)
        apply(whole, [np.mean(batch, axis=0) for batch in zip(*batches, strict=True)], other)
    for value, wanted in zip(arrays(own), arrays(other), strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-7)
    sizes = [int(np.prod(v.shape)) for v in parts.variables]
    assert sum(size for size in sizes if size > 1) == sum(w.size for w in STARTS.values()), "one slot for each weight"


def test_a_gradient_that_is_not_finite_shrinks_and_leaves_the_momentum():
    optimizer, weights = Tiger(1e-2), variables()
    apply(optimizer, gradients(0), weights)
    momenta, before = arrays(optimizer._momentum), arrays(weights)
    bad = gradients(1)
    for gradient in bad:
        gradient.flat[0] = np.nan
    apply(optimizer, bad, weights)
    for path, value, old in zip(STARTS, arrays(weights), before, strict=True):
        centre = 1.0 if path.endswith("gamma") else 0.0
        np.testing.assert_allclose(value, (old - centre) * 0.99 + centre, rtol=1e-6, atol=1e-7)
    for value, old in zip(arrays(optimizer._momentum), momenta, strict=True):
        np.testing.assert_array_equal(value, old)


def test_zero_gradients_and_configuration():
    weights = variables()
    optimizer = Tiger.from_config(Tiger(1e-2, weight_decay_rate=0.0, beta=0.9).get_config())
    apply(optimizer, [np.zeros_like(w) for w in STARTS.values()], weights)
    for value, old in zip(arrays(weights), STARTS.values(), strict=True):
        np.testing.assert_array_equal(value, old)
    for options in ({"beta": 1}, {"grad_accum_steps": 0}, {"grad_accum_steps": 2, "gradient_accumulation_steps": 2}):
        with pytest.raises(ValueError, match="beta|grad_accum_steps"):
            Tiger(**options)


def test_pretraining_takes_it():
    config = PretrainingConfig.make({"corpus": ["x"], "output": "y", "optimizer": "tiger", "learning_rate": 1e-3})
    assert isinstance(make_optimizer(config), Tiger)
