"""A model that a checkpoint fills is not drawn first; what that lacks is drawn, and what follows is the same."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
from cases import BASE, CASES, build

from bert4keras2.functional import later_draws
from bert4keras2.functional.initializers import TruncatedNormal
from bert4keras2.functional.seeds import set_seed
from bert4keras2.models import build_transformer_model
from bert4keras2.models.transformer import Transformer


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr(later_draws, "FEW", 2)


def values(model) -> dict[str, np.ndarray]:
    return {variable.path: keras.ops.convert_to_numpy(variable) for variable in model.weights}


@pytest.mark.eager
@pytest.mark.parametrize("name", CASES)
def test_each_family_draws_variables_and_nothing_else(name):
    made, draws = later_draws.made_for_loading(lambda: build(name))
    assert draws is not None, "a draw became something else than a variable"
    marked = [array for array in values(made.model).values() if array.min() <= later_draws.MARK]
    draws.finish()
    drawn = values(made.model)
    assert len(marked) == len(draws._draws) > 3
    assert all(np.abs(array).max() < 100 for array in drawn.values())
    deviations = {path: array.std() for path, array in values(build(name).model).items() if array.size > 200}
    for path, deviation in deviations.items():
        assert drawn[path].std() == pytest.approx(deviation, rel=0.5), path


@pytest.mark.backend
def test_build(tmp_path):
    """Weights of the checkpoint are there, those of another shape are drawn, and the next draw is as without it."""
    path = str(tmp_path / "model.safetensors")
    source = build_transformer_model(BASE, return_keras_model=False)
    source.save_weights_as_checkpoint(path)
    bigger = {**BASE, "vocab_size": BASE["vocab_size"] + 3}
    set_seed(5)
    build_transformer_model(bigger)
    following = keras.ops.convert_to_numpy(keras.random.uniform((4,)))
    set_seed(5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = build_transformer_model(bigger, path, ignore_invalid_weights=True)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(keras.random.uniform((4,))), following)
    stored = values(source.model)
    for name, array in values(loaded).items():
        if name.endswith("Embedding-Token/embeddings"):
            assert 0.2 < array.std() < 0.3 and np.abs(array).max() <= 0.6  # of 0.3, cut at two deviations
        else:
            np.testing.assert_array_equal(array, stored[name])


def test_a_class_of_a_script_gets_its_weights(tmp_path):
    """It may look at them, or make others of them."""
    seen = []

    class Own(Transformer):
        def build(self, **options):
            super().build(**options)
            seen.extend(values(self.model).values())
            return self

    path = str(tmp_path / "model.safetensors")
    build_transformer_model(BASE, return_keras_model=False).save_weights_as_checkpoint(path)
    build_transformer_model(BASE, path, model=Own)
    assert seen and all(array.min() > later_draws.MARK for array in seen)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="Keras spreads variables on JAX")
@pytest.mark.backend
def test_variables_that_are_spread_are_drawn_at_once():
    """Keras compiles what draws them."""
    devices = keras.distribution.list_devices()
    with keras.distribution.DataParallel(devices=devices).scope():
        made, draws = later_draws.made_for_loading(lambda: build("bert-encoder"))
    assert draws is None and all(array.min() > later_draws.MARK for array in values(made.model).values())


def test_something_else_is_made_of_a_draw():
    class Made:
        def __init__(self):
            self.model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4, kernel_initializer=self.draw)])

        @staticmethod
        def draw(shape, dtype=None):
            return TruncatedNormal(0.02)(shape, dtype) * 2

    made, draws = later_draws.made_for_loading(Made)
    assert draws is None and all(np.abs(array).max() < 1 for array in values(made.model).values())
