"""`jit_compile=True` on PyTorch: the same numbers by one compiled function."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest

from bert4keras2.backend import keras as own
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import Adam
from bert4keras2.training import lora

pytestmark = [
    pytest.mark.backend,
    pytest.mark.skipif(keras.backend.backend() != "torch", reason="other backends compile whole steps"),
]
SIZES = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES |= {"intermediate_size": 32, "max_position": 64}


@pytest.fixture(params=["aot_eager", pytest.param("inductor", marks=pytest.mark.long)])
def compiler(request, monkeypatch):
    """What compiles: PyTorch's own operations, which takes no C++ compiler and seconds, or what users get."""
    import torch

    compile_with = torch.compile
    monkeypatch.setattr(torch, "compile", lambda module: compile_with(module, backend=request.param))
    torch.compiler.reset()


def classifier(jit_compile: bool, dropout: float = 0.0, **more):
    """Return a compiled classifier and what it was built on; the same weights each time."""
    keras.utils.set_random_seed(1)
    built = build_transformer_model(**SIZES, dropout_rate=dropout, return_keras_model=False, **more)
    output = own.layers.Dense(3, activation="softmax")(built.model.output[:, 0])
    model = own.models.Model(built.model.inputs, output)
    model.compile(Adam(1e-2), "sparse_categorical_crossentropy", jit_compile=jit_compile)
    return model, built


def rows(count: int, length: int):
    random = np.random.RandomState(count)
    ids = random.randint(1, 50, (count, length)).astype("int32")
    ids[0, length // 2 :] = 0
    return [ids, np.zeros_like(ids)], random.randint(0, 3, count)


def test_steps_and_answers_equal_those_of_plain_calls(compiler):
    """Batches of other sizes, one row among them; weights after training; parts that come later."""
    found = []
    for jit_compile in (False, True):
        model, built = classifier(jit_compile)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            for count, length in ((4, 10), (3, 17), (1, 12)):
                x, y = rows(count, length)
                model.train_on_batch(x, y)
            outputs = [model.predict(rows(count, 9)[0], verbose=0) for count in (1, 5)]
            tokens, segments = rows(5, 9)[0]
            outputs.append(model.predict({"Input-Segment": segments, "Input-Token": tokens}, verbose=0))
            model.compile(Adam(1e-2), "sparse_categorical_crossentropy", jit_compile=jit_compile)
            lora(model, rank=2)
            x, y = rows(4, 10)
            model.train_on_batch(x, y)
            outputs.append(model.predict(x, verbose=0))
        assert (model._pass[0] is not None) == jit_compile
        assert not jit_compile or model._pass[0]._made
        found.append(outputs)
    for plain, compiled in zip(*found, strict=True):
        np.testing.assert_allclose(plain, compiled, atol=2e-5)


def test_dropout_draws_anew(compiler):
    """Two losses of one batch at a rate of zero differ, as they do without compilation."""
    model, _ = classifier(True, dropout=0.5)
    model.optimizer.learning_rate = 0.0
    x, y = rows(4, 10)
    assert model.train_on_batch(x, y) != model.train_on_batch(x, y)


def test_what_cannot_be_recorded_runs_as_ever_and_is_told(compiler):
    """A layer that changes a variable in each pass: BatchNormalization."""
    inputs = own.layers.Input((4,))
    model = own.models.Model(inputs, own.layers.Dense(1)(own.layers.BatchNormalization()(inputs)))
    model.compile("sgd", "mse", jit_compile=True)
    x, y = np.random.RandomState(0).normal(2, 1, (8, 4)).astype("float32"), np.ones((8, 1), "float32")
    with pytest.warns(UserWarning, match=r"not compiled.*changes variables.*moving_mean"):
        model.train_on_batch(x, y)
    assert np.abs(model.layers[1].moving_mean.numpy()).max() > 0
