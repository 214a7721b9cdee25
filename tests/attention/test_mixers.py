"""Synthesizer, gMLP, MLP-Mixer, ResMLP, FNet, external attention: closed forms, padding, direction, generation."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from cases import run
from generating import assert_cached_is_whole, assert_rows_alone, tiny
from keras import ops

from bert4keras2.layers import ExternalAttention, FourierMixing, GatedMLP, LinearMixing, SynthesizerAttention
from bert4keras2.models import build_transformer_model

X = np.random.RandomState(0).standard_normal((2, 7, 8)).astype("float32")
REAL = np.arange(7)[None] < np.array([[7], [5]])


def numpy(x):
    return ops.convert_to_numpy(x)


def weights_of(kinds, x=X, length=12, **values):
    layer = SynthesizerAttention(2, 4, kinds=kinds, max_length=length)
    layer.build((None, None, 8))
    for variable in layer.weights:
        variable.assign(np.random.RandomState(len(variable.path)).standard_normal(variable.shape))
    for name, value in values.items():
        getattr(layer, name).assign(value)
    return numpy(layer(ops.convert_to_tensor(x), return_weights=True)[1]), layer


@pytest.mark.backend
def test_synthesizers_are_their_definitions():
    # A matrix of logarithms reproduces any distribution.
    wanted = np.random.RandomState(1).dirichlet(np.ones(7), (2, 7))
    table = np.zeros((2, 12, 12))
    table[:, :7, :7] = np.log(wanted)
    found, _ = weights_of("random", random=table)
    np.testing.assert_allclose(found[0], wanted, atol=1e-5)
    # Row i of the dense form depends on token i alone, and a mixture of one is that one.
    other = X.copy()
    other[:, 3] += 1
    before, after = weights_of("dense")[0], weights_of("dense", other)[0]
    assert np.abs(before - after)[:, :, 3].max() > 1e-3
    np.testing.assert_allclose(np.delete(before, 3, 2), np.delete(after, 3, 2), atol=1e-6)
    mixture, _ = weights_of(["dense", "dot"], mixture=[50, -50])
    np.testing.assert_allclose(mixture, before, atol=1e-5)
    # Factorised: the outer product of two projections, and a product of rank 8.
    found, layer = weights_of("factorised_dense")
    outer, inner = (numpy(d(X)).reshape(2, 7, 2, -1) for d in (layer.outer_dense, layer.inner_dense))
    scores = np.einsum("bthi,bthj->bhtij", outer, inner).reshape(2, 2, 7, -1)[..., :7]
    exponentials = np.exp(scores - scores.max(-1, keepdims=True))
    np.testing.assert_allclose(found, exponentials / exponentials.sum(-1, keepdims=True), atol=1e-5)
    _, layer = weights_of("factorised_random", length=20)
    rows, columns = numpy(layer.random_rows), numpy(layer.random_columns)
    assert np.linalg.matrix_rank(rows[0] @ columns[0].T) == 8
    assert not any("fixed" in w.path for w in weights_of("fixed_random")[1].trainable_weights)


SYNTHESIZER = {"type": "synthesizer", "kinds": ["random", "factorised_dense", "dot"]}


@pytest.mark.breadth
@pytest.mark.backend
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"attention": SYNTHESIZER, "model": "roformer", "application": "unilm"}, id="synthesizer"),
        pytest.param({"model": "amlp", "application": "unilm"}, id="amlp", marks=pytest.mark.breadth),
        pytest.param(
            {"model": "resmlp", "application": "lm", "layer_scale": 0.5}, id="resmlp", marks=pytest.mark.breadth
        ),
    ],
)
def test_generation(options):
    assert_cached_is_whole(tiny(**options))


@pytest.mark.backend
@pytest.mark.breadth
@pytest.mark.parametrize("model", ["fnet", "gmlp", "mlp_mixer", "resmlp"])
def test_a_row_alone_and_a_folder(model, tmp_path):
    transformer = tiny(model=model, with_mlm="linear")
    assert_rows_alone(transformer)
    ids = np.array([[4, 5, 6, 7]])
    transformer.save_pretrained(tmp_path)
    again = build_transformer_model(str(tmp_path), with_mlm="linear")
    np.testing.assert_allclose(run(again, [ids, 0 * ids])[0], run(transformer.model, [ids, 0 * ids])[0], atol=1e-6)


@pytest.mark.backend
def test_gated_mlp_starts_as_a_feed_forward_network():
    layer = GatedMLP(6, max_length=9)
    found = numpy(layer(ops.convert_to_tensor(X)))
    through = layer.i_dense(X)[..., :3]
    np.testing.assert_allclose(found, numpy(layer.o_dense(through)), atol=1e-3 * np.abs(found).max())
    # A weight for each distance is a matrix of bands.
    vector = np.random.RandomState(3).standard_normal(17)
    layer.mixing_kernel.assign(vector)
    gated = numpy(layer.gate_norm(layer.i_dense(X)[..., 3:]))
    bands = vector[np.arange(7)[None] - np.arange(7)[:, None] + 8]
    causal = np.tril(np.ones((7, 7), bool))
    for mask in (REAL[:, None, None], (REAL[:, None] & causal)[:, None]):
        gate = np.einsum("bts,bsc->btc", bands * mask[:, 0], gated) + 1
        wanted = numpy(layer.o_dense((numpy(through) * gate).astype("float32")))
        found = layer(ops.convert_to_tensor(X), attention_mask=ops.convert_to_tensor(mask))
        np.testing.assert_allclose(numpy(found), wanted, atol=1e-4)


@pytest.mark.backend
def test_fourier_transforms_each_text_at_its_own_length():
    layer, mask = FourierMixing(), ops.convert_to_tensor(REAL)
    found = numpy(layer(ops.convert_to_tensor(X), attention_mask=mask))
    np.testing.assert_allclose(found[0], np.fft.fft2(X[0]).real, atol=1e-4)
    np.testing.assert_allclose(found[1, :5], np.fft.fft2(X[1, :5]).real, atol=1e-4)
    np.testing.assert_allclose(numpy(layer(ops.convert_to_tensor(X))), np.fft.fft2(X).real, atol=1e-4)
    fixed = numpy(FourierMixing(16)(ops.convert_to_tensor(X), attention_mask=mask))
    filled = np.concatenate([X * REAL[..., None], np.zeros((2, 9, 8))], 1)
    np.testing.assert_allclose(fixed, np.fft.fft2(filled).real[:, :7], atol=1e-4)
    # A text whose tokens are alike has nothing but its first coefficient.
    alike = numpy(layer(ops.convert_to_tensor(np.repeat(X[:, :1], 7, 1))))
    assert np.abs(alike[:, 1:]).max() < 1e-4 < np.abs(alike[:, 0]).max()


@pytest.mark.backend
def test_external_attention_and_layer_scale():
    layer = ExternalAttention(2, 5)
    found = numpy(layer(ops.convert_to_tensor(X), attention_mask=ops.convert_to_tensor(REAL)))
    query = numpy(layer.q_dense(X)).reshape(2, 7, 2, 4)
    scores = np.exp(query @ numpy(layer.memory_keys)) * REAL[:, :, None, None]
    weights = scores / scores.sum(1, keepdims=True)
    weights = weights / (weights.sum(-1, keepdims=True) + 1e-9)
    wanted = numpy(layer.o_dense((weights @ numpy(layer.memory_values)).reshape(2, 7, 8).astype("float32")))
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    # With a scale of 0 the blocks of ResMLP pass on what they are given.
    ids = np.array([[4, 5, 6, 7]])
    none = build_transformer_model(**SMALL, model="resmlp", layer_scale=0.0, return_keras_model=False)
    states = keras.Model(none.model.inputs, [none.hidden_states[0], none.model.output])
    first, last = (numpy(t) for t in states([ops.convert_to_tensor(ids), ops.convert_to_tensor(0 * ids)]))
    np.testing.assert_allclose(last, first, atol=1e-6)
    assert LinearMixing.from_config(LinearMixing(5).get_config()).max_length == 5


SMALL = {
    "vocab_size": 20,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position": 8,
}


@pytest.mark.backend
def test_deepnorm_and_the_ramp():
    deep = build_transformer_model(**SMALL, residual={"type": "deepnorm", "rule": "adam"}, return_keras_model=False)
    factor = deep.layers["Transformer-1-FeedForward-Residual"].scale
    assert factor == 2  # the root of four branches
    deviation = {
        name: np.std(numpy(getattr(deep.layers["Transformer-0-MultiHeadSelfAttention"], f"{name}_dense").kernel))
        for name in "qkvo"
    }
    assert deviation["q"] == pytest.approx(0.0176, rel=0.35) and deviation["v"] == pytest.approx(0.0088, rel=0.35)
    paper = build_transformer_model(**SMALL, residual="deepnorm", return_keras_model=False)
    assert paper.layers["Transformer-0-FeedForward-Residual"].scale == pytest.approx(4**0.25)
    ramp = build_transformer_model(**SMALL, residual={"type": "ramp", "steps": 4}, return_keras_model=False)
    ids = np.array([[4, 5, 6, 7]])
    states = keras.Model(ramp.model.inputs, ramp.hidden_states[:2])
    inputs = [ops.convert_to_tensor(ids), ops.convert_to_tensor(0 * ids)]
    first, last = (numpy(t) for t in states(inputs))
    np.testing.assert_allclose(last, first, atol=1e-4)  # normalised once more
    ramp.model.compile("sgd", "mse", run_eagerly=keras.backend.backend() == "tensorflow")
    ramp.model.train_on_batch([ids, 0 * ids], np.ones((1, 4, 8)))
    assert float(numpy(ramp.layers["Transformer-0-FeedForward-Ramp"].step)) == 1
    assert np.abs(numpy(states(inputs)[1]) - numpy(states(inputs)[0])).max() > 1e-4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention": {"type": "synthesizer", "kinds": ["dens"]}}, "kinds are some of dense, .*not \\['dens'\\]"),
        ({"model": "fnet", "application": "lm"}, "attention='fourier' looks both ways"),
        ({"residual": {"type": "ramp"}}, "residual of type 'ramp' needs 'steps'"),
        ({"residual": {"type": "deepnorm", "rule": "adma"}}, "rule is 'paper', .*; did you mean 'adam'"),
        ({"model": "gmlp", "residual": "deepnorm"}, "normalise after the residual sum.*gmlp"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        tiny(**options)


@pytest.mark.backend
@pytest.mark.breadth
def test_a_text_longer_than_the_places():
    ids = np.ones((1, 21), int)
    for model in ("gmlp", "mlp_mixer"):
        with pytest.raises(ValueError, match="has weights for 20 places, and the text has 21 tokens"):
            run(tiny(model=model).model, [ids, 0 * ids])
