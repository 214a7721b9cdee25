"""LoRA: nothing changes at first, thin matrices alone learn, and merged is what unmerged was."""

from __future__ import annotations

import numpy as np
import pytest
from by_hand import said
from keras import ops

from bert4keras2.backend import keras, set_seed
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import Adam
from bert4keras2.training import (
    load_trainable,
    lora,
    lora_ga,
    lora_plus,
    merge_lora,
    save_trainable,
    unmerge_lora,
)

pytestmark = pytest.mark.backend
SIZES = {"vocab_size": 12, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
TOKENS = np.array([[2, 5, 6, 7, 3], [2, 8, 5, 3, 3]])
X, Y = [TOKENS, np.zeros_like(TOKENS)], np.array([0, 1])


def build(seed=2):
    set_seed(seed)
    bert = build_transformer_model({**SIZES, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0})
    head = keras.layers.Dense(2, activation="softmax", name="head")
    return keras.models.Model(bert.inputs, head(bert.output[:, 0]))


def values(variables):
    return {v.path: np.array(ops.convert_to_numpy(v)) for v in variables}


def train(model, optimizer=None, steps=3):
    model.compile(optimizer or Adam(0.05), "sparse_categorical_crossentropy")
    return [float(model.train_on_batch(X, Y)) for _ in range(steps)]


def test_from_start_to_a_small_file(tmp_path):
    model = build()
    before, plain = said(model, X), values(model.variables)
    share = lora(model, rank=2, alpha=4.0)
    assert share.learning == 2 * 2 * (8 * 2 + 2 * 8) + 18 and "weights learn" in str(share)
    np.testing.assert_allclose(said(model, X), before, atol=1e-6)
    losses = train(model)
    assert losses[-1] < losses[0]
    learnt = set(values(model.trainable_variables))
    assert learnt == {p for p in values(model.variables) if "lora_kernel" in p or p.startswith("head")}
    for path, value in values(model.variables).items():
        if path in plain and not path.startswith("head"):
            np.testing.assert_array_equal(value, plain[path], err_msg=path)
    after = said(model, X)
    merge_lora(model)
    np.testing.assert_allclose(said(model, X), after, atol=1e-5)
    merge_lora(model)  # a second time changes nothing
    np.testing.assert_allclose(said(model, X), after, atol=1e-5)
    unmerge_lora(model)
    np.testing.assert_array_equal(
        values(model.variables)["Transformer-0-MultiHeadSelfAttention/q_dense/kernel"],
        plain["Transformer-0-MultiHeadSelfAttention/q_dense/kernel"],
    )
    file = tmp_path / "small.safetensors"
    save_trainable(model, file)
    other = build()
    lora(other, rank=2, alpha=4.0)
    load_trainable(other, file)
    np.testing.assert_allclose(said(other, X), after, atol=1e-6)
    with pytest.raises(ValueError, match="does not fit.*other shapes have.*lora_kernel"):
        third = build()
        lora(third, rank=1)
        load_trainable(third, file)
    with pytest.raises(ValueError, match="the file lacks"):
        load_trainable(build(), file)


def test_weights_are_saved_merged(tmp_path):
    model = build()
    lora(model, rank=2)
    train(model)
    model.save_weights(tmp_path / "all.weights.h5")
    plain = build(7)
    plain.load_weights(tmp_path / "all.weights.h5")
    np.testing.assert_allclose(said(plain, X), said(model, X), atol=1e-5)


def test_gradients_are_those_of_the_product():
    """One step of SGD by hand: B moves along A'G, and A, beside a B of zeros, stays."""
    model, full = build(), build()
    lora(model, rank=2, alpha=6.0, layers="Transformer-1-.*q_dense")
    name = "Transformer-1-MultiHeadSelfAttention/q_dense/"
    kernel = values(full.variables)[name + "kernel"]
    a = values(model.variables)[name + "lora_kernel_a"]
    train(full, keras.optimizers.SGD(1.0), 1)
    train(model, keras.optimizers.SGD(1.0), 1)
    gradient = kernel - values(full.variables)[name + "kernel"]
    now = values(model.variables)
    np.testing.assert_allclose(-now[name + "lora_kernel_b"], 3.0 * a.T @ gradient, atol=1e-6)
    np.testing.assert_allclose(now[name + "lora_kernel_a"], a, atol=1e-7)


def test_start_along_the_gradient():
    """Nothing changes, and the product of the singular vectors is the best of rank 2r."""
    model = build()
    before = said(model, X)
    lora(model, rank=2, alpha=2.0, layers="q_dense")
    model.compile(Adam(0.01), "sparse_categorical_crossentropy")
    lora_ga(model, (X, Y))
    np.testing.assert_allclose(said(model, X), before, atol=1e-5)
    found = values(model.variables)
    a = found["Transformer-0-MultiHeadSelfAttention/q_dense/lora_kernel_a"]
    b = found["Transformer-0-MultiHeadSelfAttention/q_dense/lora_kernel_b"]
    np.testing.assert_allclose(a.T @ a, np.eye(2), atol=1e-5)
    np.testing.assert_allclose(b @ b.T, np.eye(2), atol=1e-5)
    full = build()
    path = "Transformer-0-MultiHeadSelfAttention/q_dense/kernel"
    kernel = values(full.variables)[path]
    train(full, keras.optimizers.SGD(1.0), 1)
    gradient = kernel - values(full.variables)[path]
    singular = np.linalg.svd(gradient, compute_uv=False)
    left = gradient - a @ a.T @ gradient - (gradient - a @ a.T @ gradient) @ b.T @ b
    # The gradient is the difference of two float32 kernels, each off by up to half a unit of its last place.
    rounding = np.sqrt(gradient.size) * np.spacing(np.abs(kernel).max())
    np.testing.assert_allclose(np.linalg.norm(left), np.linalg.norm(singular[4:]), atol=rounding)
    assert np.linalg.norm(singular[:4]) > 100 * rounding


def test_larger_rate_of_the_second_matrix():
    moved = []
    for ratio in (1.0, 16.0):
        model = build()
        lora(model, rank=2)
        model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        lora_plus(model, ratio)
        model.train_on_batch(X, Y)
        moved.append(values(model.variables)["Transformer-0-MultiHeadSelfAttention/v_dense/lora_kernel_b"])
    np.testing.assert_allclose(moved[1], 16 * moved[0], rtol=1e-4)


def test_what_is_missing():
    model = build()
    with pytest.raises(ValueError, match="fits no Dense layer.*k_dense, q_dense"):
        lora(model, layers="queries")
    for function in (merge_lora, lora_plus):
        with pytest.raises(ValueError, match="has no LoRA matrices"):
            function(model)
    train(model, steps=1)
    with pytest.raises(ValueError, match="has trained"):
        lora(model)
    other = build()
    lora(other, train=["Norm"])
    assert any("Norm" in path for path in values(other.trainable_variables))
    with pytest.raises(ValueError, match="already"):
        lora(other)


def test_checkpoints_hold_the_merged_matrices(tmp_path):
    """Both formats, before and after merging; names are told by paths, not by the places of LoRA's own matrices."""
    set_seed(2)
    bert = build_transformer_model(SIZES, return_keras_model=False)
    model = keras.models.Model(bert.inputs, bert.outputs)
    lora(model, rank=2, layers="q_dense|o_dense")
    for path, variable in {v.path: v for v in model.variables if "lora_kernel_b" in v.path}.items():
        variable.assign(np.random.default_rng(len(path)).normal(size=variable.shape))
    expected = said(model, X)
    for name in ("un.ckpt", "un.safetensors", "merged.ckpt", "merged.weights.h5"):
        if name.startswith("merged"):
            merge_lora(model)
        plain = build_transformer_model(SIZES, return_keras_model=False)
        if name.endswith(".h5"):
            model.save_weights(tmp_path / name)
            plain.model.load_weights(tmp_path / name)
        else:
            bert.save_weights_as_checkpoint(tmp_path / name)
            plain.load_weights_from_checkpoint(tmp_path / name)
        np.testing.assert_allclose(said(plain.model, X), expected, atol=1e-5, err_msg=name)
