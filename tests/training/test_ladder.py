"""Ladder side-tuning: the encoder's backward pass is not there, and a ladder starts as a part of the encoder."""

from __future__ import annotations

import keras as plain_keras
import numpy as np
import pytest
from by_hand import said
from keras import ops

from bert4keras2.backend import keras, set_seed
from bert4keras2.models import build_transformer_model
from bert4keras2.training import adversarial_training, ladder_side_tuning, load_trainable, save_trainable

pytestmark = pytest.mark.backend
BACKEND = plain_keras.backend.backend()
# The inner width is no other width's, so that its matrix products are known among all.
SIZES = {"vocab_size": 12, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 44}
TOKENS = np.array([[2, 5, 6, 7, 3], [2, 8, 5, 3, 0]])
X, Y = [TOKENS, np.zeros_like(TOKENS)], np.array([0, 1])


def build(**options):
    set_seed(2)
    return build_transformer_model(SIZES, return_keras_model=False, **options)


def classifier(encoder):
    head = keras.layers.Dense(2, activation="softmax", name="head")
    model = keras.models.Model(encoder.inputs, head(encoder.outputs[0][:, 0]))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def values(model):
    return {v.path: np.array(ops.convert_to_numpy(v)) for v in model.variables if "seed" not in v.path}


def wide_products(model):
    """Return how many matrix products with the encoder's inner width a step computes, and the ladder's gradients."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        @tf.function
        def step(*x):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(model(list(x), training=True))
            return [g for g in tape.gradient(loss, [v.value for v in model.trainable_variables]) if g is not None]

        found = [op.name for op in step.get_concrete_function(*map(tf.constant, X)).graph.get_operations()]
        gradients = [name for name in found if name.startswith("gradient_tape")]
        assert any("Ladder-Transformer-1-FeedForward" in name for name in gradients)
        assert not [name for name in gradients if "/Transformer-" in name or "/Embedding-" in name]
        return None
    if BACKEND == "jax":
        import jax

        trainable, rest = model.trainable_variables, model.non_trainable_variables

        def loss(learning, fixed):
            outputs, _ = model.stateless_call(learning, fixed, X, training=True)
            return ops.sum(outputs)

        text = str(jax.make_jaxpr(jax.grad(loss))([v.value for v in trainable], [v.value for v in rest]))
        products = [line for line in text.splitlines() if "dot_general" in line]
        assert len(products) > 20
        return text.count("dot_general") and len([line for line in products if "5,44]" in line or "16,44]" in line])
    states = model.get_layer("Ladder-Backbone")([ops.convert_to_tensor(x) for x in X])
    assert all(state.grad_fn is None and not state.requires_grad for state in states)
    loss = ops.sum(model([ops.convert_to_tensor(x) for x in X], training=True))
    loss.backward()
    frozen = model.get_layer("Ladder-Backbone").variables
    assert all(variable.value.grad is None for variable in frozen)
    assert all(variable.value.grad is not None for variable in model.get_layer("Ladder-Down-1").variables)
    return None


def test_the_encoders_backward_pass_is_not_computed():
    model = classifier(ladder_side_tuning(build(), 2))
    # On JAX: one product into the inner width for each block of the encoder, forward, and none more.
    assert wide_products(model) in (None, 2)


@pytest.mark.parametrize("family", ["bert", "roformer"])
def test_a_ladder_of_the_same_width_is_the_encoder(family):
    """Where the gates let the ladder alone through: every part of it is the encoder's."""
    bert = build(model=family)
    expected = said(bert.model, X)
    ladder = ladder_side_tuning(bert, 1)
    gates = [v for v in ladder.model.trainable_variables if v.path.endswith("alpha")]
    assert len(gates) == 2 and not any(ops.convert_to_numpy(gate) for gate in gates)
    half = said(ladder.model, X)
    for gate in gates:
        gate.assign(100.0)
    np.testing.assert_allclose(said(ladder.model, X), expected, atol=1e-5)
    assert np.abs(half - expected).max() > 1e-4


def test_training_and_files(tmp_path):
    """The encoder stays bit for bit and drops nothing; the small file and the whole one give the same predictions."""
    bert = build(dropout_rate=0.5)
    ladder = ladder_side_tuning(bert, 4, dropout_rate=0.0)
    model = classifier(ladder)
    assert model.output_shape == (None, 2) and ladder.outputs[0].shape[-1] == 16
    before = values(model)
    losses = [float(model.train_on_batch(X, Y)) for _ in range(3)]
    assert losses[2] < losses[0] and np.isclose(losses[0], classifier(ladder).evaluate(X, Y, verbose=0), atol=2.0)
    now = values(model)
    changed = {path for path, value in before.items() if not np.array_equal(value, now[path])}
    assert changed == {v.path for v in model.trainable_variables} and not any("/Trans" in path for path in changed)
    expected = said(model, X)
    tensors = [ops.convert_to_tensor(x) for x in X]
    np.testing.assert_allclose(ops.convert_to_numpy(model(tensors, training=True)), expected, atol=1e-6)
    model.save(tmp_path / "all.keras")
    loaded = plain_keras.models.load_model(tmp_path / "all.keras", compile=False)
    np.testing.assert_allclose(said(loaded, X), expected, atol=1e-6)
    assert [v.path for v in loaded.trainable_variables] == [v.path for v in model.trainable_variables]
    save_trainable(model, tmp_path / "small.safetensors")
    other = classifier(ladder_side_tuning(build(), 4))
    load_trainable(other, tmp_path / "small.safetensors")
    np.testing.assert_allclose(said(other, X), expected, atol=1e-6)
    with pytest.raises(ValueError, match="no gradient reaches .*Embedding-Token.*Ladder-Backbone"):
        adversarial_training(model, "Embedding-Token")


def test_the_form_of_the_post():
    """Four blocks or as many as there are, beside the last ones, narrow to the end; Keras models give Keras models."""
    model = ladder_side_tuning(build().model, 2, "post", [1])
    assert model.output_shape == (None, None, 8)
    paths = [v.path for v in model.trainable_variables]
    assert not any("Gate" in path or path.endswith("Down-0/bias") for path in paths)
    assert {path.split("/")[0] for path in paths} >= {
        "Ladder-Down",
        "Ladder-Down-0",
        "Ladder-Transformer-0-FeedForward",
    }


def test_what_is_wrong():
    bert = build()
    for options, words in (
        ({"width_factor": 3}, "width_factor=3 does not divide the encoder's hidden_size, 16"),
        ({"form": "blog"}, "form is one of 'paper', 'post', not 'blog'"),
        ({"layers": [2]}, "rising numbers of blocks from 0 to 1"),
        ({"start": "half"}, "start is one of"),
    ):
        with pytest.raises(ValueError, match=words):
            ladder_side_tuning(bert, **{"width_factor": 2, **options})
    with pytest.raises(TypeError, match="takes a model of build_transformer_model"):
        ladder_side_tuning(plain_keras.Sequential([plain_keras.layers.Dense(1)]))
