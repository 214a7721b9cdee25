"""The rate as scripts read and set it: `optimizer.lr`, K.get_value, K.set_value, Keras' callbacks, on schedules too."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras2.backend import K, keras
from bert4keras2.optimizers import (
    AdaFactor,
    Adam,
    extend_with_gradient_accumulation,
    extend_with_piecewise_linear_lr,
    extend_with_weight_decay,
)

pytestmark = pytest.mark.backend
Scheduled = extend_with_piecewise_linear_lr(Adam)
OPTIMIZERS = {
    "keras": lambda: keras.optimizers.Adam(0.5),
    "keras-sgd": lambda: keras.optimizers.SGD(0.5),
    "own": lambda: Adam(0.5),
    "extended": lambda: extend_with_weight_decay(keras.optimizers.Adam)(learning_rate=0.5, weight_decay_rate=0.1),
    "schedule": lambda: Scheduled(learning_rate=0.5, lr_schedule={0: 1, 1000: 0}),
    "keras-schedule": lambda: Adam(keras.optimizers.schedules.PiecewiseConstantDecay([1000], [0.5, 0.1])),
    "accumulated": lambda: extend_with_gradient_accumulation(Scheduled)(
        learning_rate=0.5, lr_schedule={0: 1, 1000: 0}, grad_accum_steps=2
    ),
}
X, Y = np.full((4, 1), 0.5, "float32"), np.zeros((4, 1), "float32")


def compiled(optimizer):
    model = keras.models.Model(x := keras.Input((1,)), keras.layers.Dense(1, use_bias=False)(x))
    model.compile(optimizer, "mse")
    return model


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_rate_is_read_and_set(name):
    model = compiled(OPTIMIZERS[name]())
    optimizer = model.optimizer
    assert float(K.get_value(optimizer.lr)) == float(K.eval(optimizer.learning_rate)) == pytest.approx(0.5)
    K.set_value(optimizer.lr, 0.25)
    assert float(K.get_value(optimizer.lr)) == pytest.approx(0.25)
    optimizer.lr = 0.125
    assert float(K.get_value(optimizer.learning_rate)) == pytest.approx(0.125)
    assert "lr" not in optimizer.get_config()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_rate_set_by_a_callback_acts(name):
    class Freeze(keras.callbacks.Callback):
        """Sets the rate after the first epoch."""

        def on_epoch_end(self, epoch, logs=None):
            K.set_value(self.model.optimizer.lr, 0.0)
            self.weights = self.model.get_weights()[0]

    model, freeze = compiled(OPTIMIZERS[name]()), Freeze()
    model.fit(X, Y, epochs=1, batch_size=1, verbose=0)
    before = model.get_weights()[0]
    model.fit(X, Y, epochs=1, batch_size=1, verbose=0, callbacks=[freeze])
    assert np.abs(freeze.weights - before).max() > 1e-4
    model.fit(X, Y, epochs=1, batch_size=1, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], freeze.weights, atol=1e-7)


def test_callbacks_of_keras_scale_a_schedule():
    """The factor acts on the step to come and on all that follow; without it both runs go the same way."""
    optimizer = Scheduled(learning_rate=0.5, lr_schedule={4: 1, 8: 0.5})
    model = compiled(optimizer)
    plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.1, patience=0, min_delta=10, verbose=0)
    model.fit(X, Y, batch_size=1, verbose=0, callbacks=[plateau])
    assert float(K.get_value(optimizer.lr)) == pytest.approx(0.5)  # the first epoch is the best
    model.fit(X, Y, batch_size=1, verbose=0, callbacks=[plateau], epochs=3, initial_epoch=1)
    rates = [float(K.get_value(optimizer.lr))]
    assert rates[0] <= 0.25 * 0.11
    history = model.fit(
        X, Y, verbose=0, callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)]
    )
    assert history.history["learning_rate"] == [pytest.approx(rates[0] / 2)]


def test_where_a_schedule_is_at_zero():
    optimizer = Scheduled(learning_rate=0.5, lr_schedule={10: 1})
    compiled(optimizer)
    optimizer.learning_rate = 0.25  # warm-up: what factor 1 stands for
    optimizer.iterations.assign(10)
    assert float(K.get_value(optimizer.lr)) == pytest.approx(0.25)
    flat = Adam(keras.optimizers.schedules.PolynomialDecay(0.0, 10, 0.0))
    with pytest.raises(ValueError, match="is at 0, which no factor turns into a rate of 1"):
        flat.learning_rate = 1.0


@pytest.mark.parametrize("name", ["schedule", "keras"])
def test_files_keep_the_rate_and_its_class(name, tmp_path):
    model = compiled(OPTIMIZERS[name]())
    model.fit(X, Y, verbose=0)
    model.optimizer.lr = 0.125
    model.save(tmp_path / "m.keras")
    other = keras.models.load_model(tmp_path / "m.keras")
    assert float(K.get_value(other.optimizer.lr)) == pytest.approx(float(K.get_value(model.optimizer.lr)))
    assert type(other.optimizer).__name__ == type(model.optimizer).__name__
    assert isinstance(other.optimizer, keras.optimizers.Adam if name == "keras" else Adam)


def test_states_without_a_scale_load():
    """Files of before rates of schedules could be set have one variable less."""
    model = compiled(Scheduled(learning_rate=0.5, lr_schedule={0: 1}))
    model.fit(X, Y, verbose=0)
    store: dict = {}
    model.optimizer.save_own_variables(store)
    place = next(i for i, v in enumerate(model.optimizer.variables) if v is model.optimizer._rate_scale)
    values = [store[str(i)] for i in range(len(store)) if i != place]
    other = compiled(Scheduled(learning_rate=0.5, lr_schedule={0: 1}))
    other.optimizer.build(other.trainable_variables)
    other.optimizer.load_own_variables({str(i): value for i, value in enumerate(values)})
    for mine, theirs in zip(other.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_allclose(K.get_value(mine), K.get_value(theirs))


def test_adafactor_has_no_rate_of_its_own():
    optimizer = AdaFactor(None)
    compiled(optimizer)
    assert callable(getattr(optimizer, "lr", None)) or np.isfinite(float(K.get_value(optimizer.lr)))
