"""LoRA in the optimizer is LoRA in the model: the same steps of A and B, seen on W."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras2.backend import keras as our_keras
from bert4keras2.backend import set_seed
from bert4keras2.optimizers import Adam, extend_with_exponential_moving_average, extend_with_lora

pytestmark = pytest.mark.backend
TARGET = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")


def value(variable):
    return np.array(ops.convert_to_numpy(variable), "float64")


@pytest.mark.parametrize("base", [Adam, keras.optimizers.SGD])
def test_both_views_agree(base):
    """On |W - T|^2 / 2: W moves as W0 - A0 B0 + A B does, and no further than rank 2r."""
    set_seed(1)
    start = np.random.default_rng(1).normal(size=(6, 5)).astype("float32")
    w, other = keras.Variable(start, name="q_dense/kernel".replace("/", "_")), keras.Variable(np.ones(3, "float32"))
    optimizer = extend_with_lora(base)(0.05, lora_rank=2, include_in_lora=["kernel"])
    optimizer.build([w, other])
    factors = [next(v for v in optimizer.variables if v.path.endswith(f"lora_{letter}")) for letter in "ab"]
    pair = [keras.Variable(value(v).astype("float32")) for v in factors]
    fixed = start - value(pair[0]) @ value(pair[1])
    plain = base(0.05)
    plain.build(pair)
    for _ in range(20):
        optimizer.apply([ops.convert_to_tensor(value(w).astype("float32") - TARGET), ops.ones(3)], [w, other])
        a, b = map(value, pair)
        gradient = fixed + a @ b - TARGET
        plain.apply([ops.convert_to_tensor(g.astype("float32")) for g in (gradient @ b.T, a.T @ gradient)], pair)
    a, b = map(value, pair)
    np.testing.assert_allclose(value(w), fixed + a @ b, atol=2e-5)
    assert np.linalg.matrix_rank(value(w) - start, tol=1e-4) == 4 and np.all(value(other) < 1)


def test_in_fit(tmp_path):
    """Compiled steps, an average beside, saving with the slots, and the errors."""
    inputs = our_keras.layers.Input((6,))
    model = our_keras.models.Model(inputs, our_keras.layers.Dense(5, name="q_dense")(inputs))
    Low = extend_with_exponential_moving_average(extend_with_lora(Adam))
    model.compile(Low(0.05, lora_rank=2, ema_momentum=0.5), "mse")
    start = value(model.layers[-1].kernel)
    losses = model.fit(np.eye(6, dtype="float32"), TARGET, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert np.linalg.matrix_rank(value(model.layers[-1].kernel) - start, tol=1e-4) <= 4
    wide = [v.path for v in model.optimizer.variables if tuple(v.shape) == (6, 5)]
    assert len(wide) == 1 and wide[0].endswith("_ema")  # no moments of W
    before = value(model.layers[-1].kernel)
    model.optimizer.apply_ema_weights()
    assert np.abs(value(model.layers[-1].kernel) - before).max() > 1e-4
    model.optimizer.reset_old_weights()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for one in (model, loaded):
        one.fit(np.eye(6, dtype="float32"), TARGET, epochs=1, verbose=0)
    np.testing.assert_allclose(value(loaded.layers[-1].kernel), value(model.layers[-1].kernel), atol=1e-6)
    with pytest.raises(ValueError, match="no part of rank 7"):
        extend_with_lora(Adam)(lora_rank=7).build(model.weights)
