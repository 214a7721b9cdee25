"""Layer-wise decay and ChildTuning: what moves, and by how much."""

from __future__ import annotations

import keras as plain_keras
import numpy as np
import pytest
from keras import ops

from bert4keras2.backend import keras, set_seed
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import Adam, extend_with_child_tuning
from bert4keras2.training import child_tuning, find_child, layerwise_decay

pytestmark = pytest.mark.backend
SIZES = {"vocab_size": 12, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
TOKENS = np.array([[2, 5, 6, 7, 3], [2, 8, 5, 3, 3]])
X, Y = [TOKENS, np.zeros_like(TOKENS)], np.array([0, 1])


@pytest.fixture(scope="module")
def encoder():
    set_seed(2)
    sizes = {**SIZES, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    bert = build_transformer_model(sizes)
    head = keras.layers.Dense(2, activation="softmax", name="head")
    model = keras.models.Model(bert.inputs, head(bert.output[:, 0]))
    return model, model.get_weights()


def fresh(encoder, optimizer):
    model, weights = encoder
    model.set_weights(weights)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


def moves(model, steps=1):
    before = [np.array(ops.convert_to_numpy(v)) for v in model.trainable_variables]
    for _ in range(steps):
        model.train_on_batch(X, Y)
    after = [np.array(ops.convert_to_numpy(v)) for v in model.trainable_variables]
    return {v.path: new - old for v, old, new in zip(model.trainable_variables, before, after, strict=True)}


@pytest.mark.parametrize(
    "optimizer", [lambda: plain_keras.optimizers.SGD(0.1), lambda: Adam(0.01, weight_decay_rate=0.1)]
)
def test_steps_shrink_with_depth(encoder, optimizer):
    plain = moves(fresh(encoder, optimizer()))
    model = fresh(encoder, optimizer())
    layerwise_decay(model, 0.5)
    for path, move in moves(model).items():
        power = 3 if path.startswith("Embedding") else {"0": 2, "1": 1}[path[12]] if "Transformer" in path else 0
        np.testing.assert_allclose(move, plain[path] * 0.5**power, rtol=1e-4, atol=1e-7, err_msg=path)


def test_layerwise_decay_says_what_is_missing(encoder):
    inputs = keras.layers.Input((3,))
    model = keras.models.Model(inputs, keras.layers.Dense(1)(inputs))
    with pytest.raises(ValueError, match="compile"):
        layerwise_decay(model)
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="of a block"):
        layerwise_decay(model)
    trained = fresh(encoder, "sgd")
    moves(trained)
    with pytest.raises(ValueError, match="has made steps"):
        layerwise_decay(trained)


def test_all_weights_are_plain_training(encoder):
    plain = moves(fresh(encoder, Adam(0.01)))
    for path, move in moves(fresh(encoder, child_tuning(Adam(0.01), "F", 1.0))).items():
        np.testing.assert_allclose(move, plain[path], atol=1e-7)


def test_gradients_of_chance_are_right_on_average():
    optimizer = child_tuning(plain_keras.optimizers.SGD(1.0), "F", 0.3, seed=5)
    weights = [keras.Variable(np.zeros(4000, "float32"), name=name) for name in "ab"]
    gradient = ops.ones((4000,))
    found = []
    for _ in range(20):
        before = [np.array(ops.convert_to_numpy(w)) for w in weights]
        optimizer.apply([gradient, gradient], weights)
        found.append([b - np.array(ops.convert_to_numpy(w)) for b, w in zip(before, weights, strict=True)])
    found = np.array(found)
    # On PyTorch the share is a multiple of 1/256, and what is kept is divided by that.
    share = 77 / 256 if keras.backend.backend() == "torch" else 0.3
    np.testing.assert_allclose(np.unique(found.round(4)), [0, 1 / share], atol=1e-4)
    np.testing.assert_allclose((found > 0).mean(), share, atol=5 * np.sqrt(0.3 * 0.7 / 160_000))
    # 160,000 draws of variance (1 - p) / p: five standard deviations.
    np.testing.assert_allclose(found.mean(), 1, atol=5 * np.sqrt(0.7 / 0.3 / 160_000))
    assert (found[0, 0] != found[1, 0]).any() and (found[0, 0] != found[0, 1]).any()


@pytest.mark.parametrize("mode", ["D", "D-authors"])
def test_a_child_is_found_and_alone_moves(encoder, mode):
    model = fresh(encoder, child_tuning(plain_keras.optimizers.SGD(0.1), mode, 0.2))
    with pytest.raises(ValueError, match="find_child"):
        model.train_on_batch(X, Y)
    model = fresh(encoder, child_tuning(plain_keras.optimizers.SGD(0.1), mode, 0.2))
    share = find_child(model, [(X, Y)])
    found = moves(model, 3)
    plain = moves(fresh(encoder, plain_keras.optimizers.SGD(0.1)))
    inside = {path for path in found if mode == "D" or "Transformer" in path}
    moved = {path: move != 0 for path, move in found.items()}
    assert all(moved[path].any() for path in found if path not in inside and "Position" not in path)
    sizes = sum(found[path].size for path in inside)
    np.testing.assert_allclose(sum(moved[path].sum() for path in inside) / sizes, 0.2, atol=0.02)
    # Those that move are those with the largest gradients.
    least = min(np.abs(plain[path][moved[path]]).min() for path in inside if moved[path].any())
    most = max(np.abs(plain[path][~moved[path]]).max() for path in inside if (~moved[path]).any())
    assert least >= most - 1e-7 and (mode != "D" or abs(share - 0.2) < 1e-3)


def test_configuration_survives():
    optimizer = child_tuning(Adam(0.01), "D-authors", 0.4)
    again = type(optimizer).from_config(optimizer.get_config())
    assert again.child_p == 0.4 and again.child_blocks_only and not again.child_rescale
    assert extend_with_child_tuning(Adam)(0.1).child_mode == "F"
    with pytest.raises(ValueError, match="'F', 'D', 'D-authors'"):
        child_tuning(Adam(0.1), "G")
