"""last_token: the last position of a model's output, without the work for the others."""

from __future__ import annotations

import gc
import weakref

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras2.decoders import AutoRegressiveDecoder, last_token
from bert4keras2.models import build_transformer_model

pytestmark = pytest.mark.backend
TINY = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 20,
    "initializer_range": 0.3,
}
INPUTS = [np.random.RandomState(0).randint(1, 40, (3, 7)), np.array([[0, 0, 0, 0, 1, 1, 1]] * 3)]


def run(model, data):
    """Return the outputs of a model as arrays; `predict` would compile each model anew."""
    return keras.tree.map_structure(ops.convert_to_numpy, model(data))


def build(**options):
    """Return a tiny model whose biases are no zeros."""
    model = build_transformer_model(TINY, **options)
    random = np.random.RandomState(0)
    for variable in model.trainable_weights:
        value = ops.convert_to_numpy(variable)
        if np.ptp(value) == 0:
            variable.assign(value + 0.1 * random.standard_normal(value.shape))
    return model


def projected_positions(model):
    """Return the number of positions that are projected on the vocabulary for 7 tokens."""
    calls = model.get_layer("Embedding-Token")._inbound_nodes
    inner = keras.Model(model.inputs, calls[-1].output_tensors[0])
    return run(inner, INPUTS).shape[1]


@pytest.mark.parametrize(
    "options",
    [
        {"application": "unilm"},
        {"application": "lm", "model": "roformer"},
        {"application": "unilm", "model": "roformer_v2"},
        {"with_mlm": "linear"},
        {"with_mlm": True, "embedding_size": 8},
        {"application": "unilm", "hidden_act": "gelu_tanh"},
        {"application": "lm", "hidden_act": "relu"},
    ],
    ids=str,
)
def test_equals_the_slice(options):
    model = build(**options)
    whole = run(model, INPUTS)
    short = last_token(model)
    found = run(short, INPUTS)
    assert found.shape == (3, 40) and whole.std() > 1e-3
    np.testing.assert_allclose(found, whole[:, -1], atol=1e-6, rtol=0)
    assert projected_positions(short) == 1, "the vocabulary projection of all positions is computed"
    # The model itself is as before.
    np.testing.assert_array_equal(run(model, INPUTS), whole)
    assert len(model.get_layer("Transformer-0-FeedForward-Norm").output.shape) == 3


def test_model_saves_as_before(tmp_path):
    model = build(application="unilm")
    whole = run(model, INPUTS)
    last_token(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(run(loaded, INPUTS), whole, atol=1e-6)
    np.testing.assert_allclose(run(last_token(loaded), INPUTS), whole[:, -1], atol=1e-6)


def test_follows_training():
    model = build(application="unilm")
    short = last_token(model)
    before = run(short, INPUTS)
    for variable in model.trainable_weights:
        variable.assign(ops.convert_to_numpy(variable) * 1.5)
    found = run(short, INPUTS)
    assert np.abs(found - before).max() > 1e-3
    np.testing.assert_allclose(found, run(model, INPUTS)[:, -1], atol=1e-6)


@keras.saving.register_keras_serializable("tests")
class NextDense(keras.layers.Dense):
    """A Dense layer that also looks at the other positions."""

    def call(self, inputs):
        return super().call(inputs) + ops.sum(super().call(inputs), axis=1, keepdims=True)


def cumulative(x):
    return ops.cumsum(x, axis=1)


@pytest.mark.parametrize(
    "tail",
    [
        keras.layers.Lambda(lambda x: x - ops.mean(x, axis=1, keepdims=True), output_shape=lambda shape: shape),
        keras.layers.Activation(cumulative),
        keras.layers.Dense(5, activation=cumulative),
        NextDense(5),
        keras.layers.LayerNormalization(axis=[1, 2]),
        keras.layers.Softmax(axis=1),
        keras.layers.Conv1D(4, 3, padding="same"),
        keras.layers.GRU(4, return_sequences=True),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_that_mix_positions(tail):
    """Behind a layer that may mix positions, the output is cut; Dense layers on top are still applied late."""
    x = keras.Input((6, 3))
    y = keras.layers.Dense(8, activation="tanh")(x)
    model = keras.Model(x, keras.layers.Dense(4, activation="softmax")(tail(y)))
    data = np.random.RandomState(0).standard_normal((2, 6, 3)).astype("float32")
    np.testing.assert_allclose(run(last_token(model), data), run(model, data)[:, -1], atol=1e-6)


def test_operations_and_several_outputs():
    """Plain operations and layers with two inputs stop the walk; each output is cut; a nested model is a layer."""
    x = keras.Input((None, 3))
    y = keras.layers.Dense(8)(x)
    inner = keras.Model(x, ops.cumsum(y, axis=1) * 2)
    outer = keras.Model(x, [keras.layers.Dense(4)(inner(x)), keras.layers.Add()([y, y]), ops.sum(y, axis=2)])
    data = np.random.RandomState(0).standard_normal((2, 6, 3)).astype("float32")
    found, expected = run(last_token(outer), data), run(outer, data)
    assert [one.shape for one in found] == [(2, 4), (2, 8), (2,)]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other[:, -1], atol=1e-5)


def test_conditional_normalization():
    """A layer with a second input is not walked through."""
    condition = keras.Input((5,), name="Condition")
    model = build(application="lm", layer_norm_cond=condition, additional_input_layers=condition)
    for variable in model.trainable_weights:
        if "_dense" in variable.path:
            variable.assign(np.random.RandomState(1).standard_normal(variable.shape))
    data = [*INPUTS, np.random.RandomState(2).standard_normal((3, 5)).astype("float32")]
    np.testing.assert_allclose(run(last_token(model), data), run(model, data)[:, -1], atol=1e-6)


def test_memo(capsys):
    """Made once for each model, by whatever decoder asks; forgotten with the model; silent."""
    first, second = build(application="lm"), build(application="lm")
    decoder = AutoRegressiveDecoder(None, 3, 5)
    short = decoder.last_token(first)
    assert short is decoder.last_token(first) is AutoRegressiveDecoder(None, 1, 2).last_token(first)
    assert short is not decoder.last_token(second)
    capsys.readouterr()
    np.testing.assert_allclose(short.predict(INPUTS), run(first, INPUTS)[:, -1], atol=1e-6)
    assert capsys.readouterr().out == ""
    short.predict(INPUTS, verbose=1)
    assert capsys.readouterr().out != ""
    decoder.last_token(second)
    gone = weakref.ref(second)
    del second
    keras.backend.clear_session()
    gc.collect()
    assert gone() is None


def test_errors():
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="needs a functional Keras model, which own is not"):
        last_token(Own(name="own"))
    with pytest.raises(ValueError, match="needs a functional Keras model, not str"):
        last_token("model")
    x = keras.Input((3,))
    flat = keras.Model(x, ops.sum(x, axis=1), name="flat")
    with pytest.raises(ValueError, match=r"needs outputs \(B, T, ...\), but flat has one of shape"):
        last_token(flat)


def test_beam_search_of_a_model():
    """A classic script: greedy search over a language model, against the whole output step by step."""
    model = build(application="lm", segment_vocab_size=0)

    class Story(AutoRegressiveDecoder):
        @AutoRegressiveDecoder.wraps(default_rtype="probas")
        def predict(self, inputs, output_ids, states):
            return self.last_token(model).predict(np.concatenate([inputs[0], output_ids], 1))

    found = Story(None, -1, 4).beam_search([INPUTS[0][0]], topk=1)
    ids = INPUTS[0][:1]
    for _ in range(4):
        ids = np.concatenate([ids, model.predict(ids, verbose=0)[:, -1].argmax(-1)[:, None]], axis=1)
    np.testing.assert_array_equal(found, ids[0, -4:])
