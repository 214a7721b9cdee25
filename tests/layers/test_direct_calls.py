"""Layers that PyTorch calls with fewer steps give what Keras' own way gives, masks among it."""

from __future__ import annotations

import weakref

import keras
import numpy as np
import pytest

from bert4keras2.backend import Model
from bert4keras2.decoders import Generator
from bert4keras2.functional import keras_private
from bert4keras2.layers import Add, Dropout, FeedForward, LayerNormalization
from bert4keras2.layers.direct import DirectCalls
from bert4keras2.models import build_transformer_model

pytestmark = [
    pytest.mark.backend,
    pytest.mark.skipif(keras.backend.backend() != "torch", reason="other backends call layers while they compile"),
]


@pytest.fixture
def counted(monkeypatch):
    """Count the calls that went Keras' way."""
    calls = []
    before = keras.layers.Layer.__call__

    def count(self, *args, **kwargs):
        calls.append(self)
        return before(self, *args, **kwargs)

    monkeypatch.setattr(keras.layers.Layer, "__call__", count)
    return calls


@pytest.fixture(params=["float32", "mixed_bfloat16", "bfloat16"])
def precision(request):
    """The policy of Keras for what is built."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


def values(tensor):
    """Return a tensor's values in float32, wherever they are."""
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))


def test_same_outputs_and_masks(counted, monkeypatch, precision):
    """Weights in bfloat16 themselves are left to Keras."""
    sizes = {"vocab_size": 30, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24}
    model = build_transformer_model(**sizes, num_hidden_layers=2, hidden_act="gelu", max_position=16)
    ids = keras.ops.convert_to_tensor(np.array([[5, 6, 7, 0], [8, 9, 0, 0]], "int32"))
    inputs = [ids, keras.ops.zeros_like(ids)]
    counted.clear()
    fast = model(inputs)
    few = len(counted)
    monkeypatch.setattr(DirectCalls, "called_directly", lambda self, args, kwargs, dtype: False)
    monkeypatch.setattr("bert4keras2.layers.direct.is_plain", lambda tensor, dtype=None: False)
    for kind in (Add,):
        monkeypatch.setattr(kind, "called_directly", lambda self, args, kwargs, dtype: False)
    counted.clear()
    slow = model(inputs)
    # Two tables, positions, mask, and the model; a block's six layers and the six within them are called directly.
    direct = precision != "bfloat16"
    assert (few <= 10 and len(counted) >= few + 2 * 10) if direct else few > 20
    # In 8 bits, weights that one way rounds and the other does not differ by a part in 256.
    np.testing.assert_allclose(values(fast), values(slow), atol=1e-6 if precision == "float32" else 4 * 2**-8)
    own, other = (keras_private.mask_of(output) for output in (fast, slow))
    np.testing.assert_array_equal(own, other)
    np.testing.assert_array_equal(own, [[1, 1, 1, 0], [1, 1, 0, 0]])


def test_what_is_changed_elsewhere_is_called(counted):
    """A subclass, a replaced `call`, other precisions, symbolic and other inputs go Keras' way."""
    x = keras.ops.ones((2, 3, 8))
    layer = FeedForward(4)
    layer(x)
    counted.clear()
    layer(x)
    assert not counted

    class Doubled(FeedForward):
        def call(self, inputs, mask=None):
            return 2 * super().call(inputs)

    double = Doubled(4)
    double(x)
    counted.clear()
    double(x)
    assert double in counted
    layer.call = lambda inputs: inputs
    counted.clear()
    assert layer(x) is not None and layer in counted
    half = LayerNormalization(dtype="mixed_bfloat16")
    assert str(half(x).dtype) == "torch.bfloat16" and str(half(x).dtype) == "torch.bfloat16"
    norm = LayerNormalization()
    norm(x)
    counted.clear()
    assert isinstance(norm(keras.Input((3, 8))), keras.KerasTensor) and norm in counted
    np.testing.assert_allclose(values(norm(np.ones((2, 3, 8), "float32"))), 0, atol=1e-3)


def test_dropout_is_told_whether_a_model_learns(counted):
    """Unsaid, what the layer around it was told counts, and nothing is dropped without one; masks flow through."""
    layer = Dropout(0.5)
    x = keras_private.with_torch_mask(keras.ops.ones((2, 3, 8)), keras.ops.ones((2, 3), "bool"))
    dropped, kept, alone = layer(x, training=True), layer(x, training=False), layer(x)
    assert not counted and (values(dropped) == 0).any() and (values(kept) == 1).all() and (values(alone) == 1).all()
    assert all(keras_private.mask_of(output) is not None for output in (dropped, kept, alone))

    class Around(keras.layers.Layer):
        def call(self, inputs):
            return layer(inputs)

    around = Around()
    around.supports_masking = True
    assert (values(around(x, training=True)) == 0).any() and (values(around(x)) == 1).all()
    assert counted == [around, around]
    # A tensor, as a script's own loop may have it, is left to Keras.
    assert (values(layer(x, training=keras.ops.ones((), "bool"))) == 0).any() and counted[-1] is layer


@pytest.mark.parametrize("family", ["gpt2", "gau_alpha"])
def test_a_token_of_a_model_with_dropout_is_generated_directly(counted, family):
    sizes = {"vocab_size": 30, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24}
    rates = {"dropout_rate": 0.1, "attention_dropout_rate": 0.1}
    model = build_transformer_model(**sizes, **rates, model=family, application="lm", num_hidden_layers=4)
    generator = Generator(model, end_id=None)
    counted.clear()
    generator.generate([[5, 6]], 1)
    start = len(counted)
    generator.generate([[5, 6]], 9)
    tables = {type(layer).__name__ for layer in counted}
    # The table of tokens, its scores, and positions, rotary ones of queries and of keys: not one in each block.
    assert len(counted) - 2 * start <= 4 * 8, tables


class Mixed(keras.layers.Layer):
    """Takes tensors in several places of its arguments, and returns two."""

    def call(self, first, others=None, table=None, scale=1.0, training=None):
        total = first * scale + others[0] + others[1][0]
        return total + table["a"], (total if training else -total)


def graph(kind):
    """Return a model with shared layers, arguments of all kinds, and inputs and outputs of one kind."""
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    dense = keras.layers.Dense(3)
    x, y = dense(a), dense(dense(b))
    first, second = Mixed()(x, others=[y, (a,)], table={"a": b}, scale=0.5)
    keras.layers.Dense(2)(first)  # of no model
    outputs = {"one": first, "two": keras.layers.Concatenate()([second, x])}
    inputs = [a, b] if kind == "list" else {"a": a, "b": b}
    return Model(inputs, list(outputs.values()) if kind == "list" else outputs)


@pytest.mark.parametrize("kind", ["list", "dict"])
@pytest.mark.parametrize("training", [False, True])
def test_planned_runs_are_those_of_keras(monkeypatch, kind, training):
    model = graph(kind)
    values = [keras.random.normal((4, 3), seed=seed) for seed in (1, 2)]
    inputs = values if kind == "list" else dict(zip("ab", values, strict=True))
    found = model(inputs, training=training)
    assert model._plan[0].is_whole
    monkeypatch.setattr("bert4keras2.training.graph_runs._are_tensors", lambda values: False)
    expected = model(inputs, training=training)
    assert type(found) is type(expected) and (kind == "list" or list(found) == list(expected))
    for one, other in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
        np.testing.assert_array_equal(one.detach().numpy(), other.detach().numpy())


def test_a_plan_follows_its_graph():
    model = graph("list")
    values = [keras.random.normal((4, 3), seed=seed) for seed in (1, 2)]
    model(values)
    plan = model._plan[0]
    model.add_metric(keras.ops.mean(model.outputs[0]), name="mean")  # leads the output through a layer
    model(values)
    assert model._plan[0] is not plan and len(model(tuple(values))) == 2
    with pytest.warns(UserWarning, match="structure of `inputs`"):
        model([values])


def test_a_pass_keeps_no_tensor_that_is_done_with():
    """Else all that a model computes is in memory at the end of a pass, and each tensor is given new memory."""
    made, alive = [], []

    class Noting(keras.layers.Layer):
        def call(self, x):
            alive.append(sum(reference() is not None for reference in made))
            found = x + 1
            made.append(weakref.ref(found))
            return found

    start = keras.Input((3,))
    x = early = Noting()(start)
    for _ in range(6):
        x = Noting()(x)
    model = Model(start, [x, early])
    model.predict_on_batch(np.ones((1, 3), "float32"))
    alive.clear(), made.clear()
    last, first = model(keras.ops.ones((1, 3)))
    # The one that a layer takes, and the first, which is an output.
    assert alive == [0, 1, 2, 2, 2, 2, 2] and float(last[0, 0]) == 8 and float(first[0, 0]) == 2
