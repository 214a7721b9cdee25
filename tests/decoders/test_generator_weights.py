"""Matrices in bfloat16: the logits of products with rounded factors, and the model's own weights as they were."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from cases import build
from keras import ops

from bert4keras2.decoders import Generator
from bert4keras2.decoders.faster import weights
from bert4keras2.functional import prepared
from bert4keras2.functional.prepared import JointProduct
from bert4keras2.snippets.arrays import softmax

TORCH = keras.backend.backend() == "torch"
IDS, LENGTHS = np.array([[7, 5, 9, 31], [12, 4, 8, 0]], "int32"), [4, 3]


@pytest.mark.backend
@pytest.mark.skipif(not TORCH, reason="PyTorch has these products")
@pytest.mark.parametrize("name", ["roformer-lm", "gpt2-lm"])
def test_logits(name, monkeypatch):
    """Close by the digits that bfloat16 keeps, and not equal; new weights count at once; own weights stay."""
    monkeypatch.setattr(prepared, "FEWEST_ROWS", prepared.FEW_ROWS)  # on all processors alike
    model = build(name)
    before = [ops.convert_to_numpy(v).copy() for v in model.model.weights]
    plain, narrow = Generator(model, end_id=3), Generator(model, end_id=3, weights="bfloat16")
    assert narrow.engine is Generator(model, weights="bfloat16").engine is not plain.engine

    def logits(generator: Generator) -> np.ndarray:
        # Eight rows at a time are few ones, and so is each step.
        inputs = [IDS, np.zeros_like(IDS)][: 1 + bool(model.config.segment_vocab_size)]
        first, cache = generator.engine.open(inputs, LENGTHS, 4)
        segments = None if len(inputs) == 1 else np.zeros((2, 1), "int32")
        after, _ = generator.engine.step(cache, np.array([[6], [9]]), segments, 0)
        return np.concatenate([first[:, None], after], 1)

    def apart() -> float:
        exact = logits(plain)
        return float(np.abs(logits(narrow) - exact).max() / exact.std())

    # Factors and products keep 8 bits, and differences of a few layers add up.
    assert 1e-4 < apart() < 0.1
    assert all(np.array_equal(a, ops.convert_to_numpy(v)) for a, v in zip(before, model.model.weights, strict=True))
    old = logits(narrow)
    kernel = next(v for v in model.model.weights if v.path.endswith("0-FeedForward/i0_dense/kernel"))
    kernel.assign(ops.convert_to_numpy(kernel) * 2)
    assert np.abs(logits(narrow) - old).max() > 0.01 and apart() < 0.1


@pytest.mark.backend
@pytest.mark.skipif(not TORCH, reason="PyTorch has these products")
@pytest.mark.parametrize("multiplies", [True, False])
def test_rows_that_are_few(multiplies, monkeypatch):
    """Rounded up to 16 rows where a processor multiplies such numbers, and one row elsewhere; above, nothing is."""
    import torch

    product = (lambda matrix: lambda x: x @ matrix.t()) if multiplies else (lambda matrix: None)
    monkeypatch.setattr(prepared, "packed_product", product)
    matrix, bias = torch.randn(8, 5), torch.randn(8)
    function = prepared.narrow_product(matrix, bias)
    for rows in (1, 2, 16, 17):
        x = torch.randn(rows, 1, 5)
        apart = (function(x) - (x @ matrix.t() + bias)).abs().max()
        assert (apart > 1e-4) == (rows <= (16 if multiplies else 1))


@pytest.mark.backend
@pytest.mark.skipif(not TORCH, reason="PyTorch has these products")
def test_narrow_matrices_keep_the_types_of_a_mixed_model(monkeypatch):
    """Vectors are cast as the layer casts them, and a layer whose call is replaced is called."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build("bert-lm")
    finally:
        keras.config.set_dtype_policy("float32")
    engine = Generator(model, weights="bfloat16").engine
    dense, table = model.layers["Transformer-0-FeedForward"].o_dense, model.layers["Embedding-Token"]
    functions = engine._prepared.functions()
    assert id(dense) in functions and functions[id(table)].look_up(ops.zeros((1, 1), "int32")) is None
    monkeypatch.setattr(dense, "call", lambda x, training=None: keras.layers.Dense.call(dense, x))
    assert id(dense) not in engine._prepared.functions()


def test_errors():
    model = build("bert-lm")
    with pytest.raises(ValueError, match="no public product"):
        Generator(model, weights="int8")
    if not TORCH:
        with pytest.raises(ValueError, match="KERAS_BACKEND=torch"):
            Generator(model, weights="bfloat16")


@pytest.mark.backend
@pytest.mark.skipif(not TORCH, reason="elsewhere steps are compiled")
@pytest.mark.parametrize("name", ["bert-lm", "gpt2-lm"])
def test_steps_take_the_weights_of_now(name, monkeypatch):
    """What is prepared of a layer follows assignments, and a layer whose call is replaced is called."""
    model = build(name)
    generator = Generator(model, end_id=3)
    inputs = [IDS, np.zeros_like(IDS)][: 1 + bool(model.config.segment_vocab_size)]

    def after() -> np.ndarray:
        _, cache = generator.engine.open(inputs, LENGTHS, 4)
        segments = None if len(inputs) == 1 else np.zeros((2, 1), "int32")
        return softmax(generator.engine.step(cache, np.array([[6], [9]]), segments, 0)[0])

    def whole() -> np.ndarray:
        ids = np.array([[7, 5, 9, 31, 6], [12, 4, 8, 9, 0]], "int32")
        found = model.model.predict([ids, np.zeros_like(ids)][: len(inputs)], verbose=0)
        found = np.stack([found[0, 4:5], found[1, 3:4]])
        return found if np.allclose(found.sum(-1), 1, atol=1e-4) else softmax(found)

    np.testing.assert_allclose(after(), whole(), atol=1e-5)
    attention = model.layers["Transformer-0-MultiHeadSelfAttention"]
    parts = ["0-FeedForward/i0_dense/bias", "0-FeedForward-Norm/gamma", "Embedding-Token/embeddings"]
    parts += [
        f"{attention.name}/{name}" for name in ("q_dense/bias", "k_dense/kernel", "v_dense/kernel", "v_dense/bias")
    ]
    for part in parts:
        weight = next(v for v in model.model.weights if v.path.endswith(part))
        before = after()
        weight.assign(ops.convert_to_numpy(weight) * 1.5 + 0.1)
        assert np.abs(after() - before).max() > 1e-3, part
        np.testing.assert_allclose(after(), whole(), atol=1e-5)
    for dense in (model.layers["Transformer-0-FeedForward"].o_dense, attention.v_dense):
        before = after()
        monkeypatch.setattr(dense, "call", lambda x, dense=dense, training=None: keras.layers.Dense.call(dense, x) * 2)
        assert np.abs(after() - before).max() > 1e-3
        np.testing.assert_allclose(after(), whole(), atol=1e-5)


@pytest.mark.backend
@pytest.mark.skipif(not TORCH, reason="elsewhere steps are compiled")
def test_queries_keys_and_values_are_one_product(monkeypatch):
    """Of attention to itself, unless its matrices are wide, or its parts compute otherwise."""
    model = build("t5.1.1")
    engine = Generator(model, start_id=1).engine
    decoder = engine.transformer
    own, cross = (
        next(x for name, x in decoder.layers.items() if name.endswith("-0-MultiHead" + kind))
        for kind in ("SelfAttention", "CrossAttention")
    )
    functions = engine._prepared.functions()
    x = ops.convert_to_tensor(np.random.RandomState(0).normal(size=(2, 3, own.q_dense.kernel.shape[0])), "float32")
    assert isinstance(functions[id(own.q_dense)], JointProduct)
    found = functions[id(own.q_dense)].heads(x, own.head_size)
    for part, dense in zip(found, (own.q_dense, own.k_dense, own.v_dense), strict=True):
        want = ops.reshape(dense(x), (2, 3, own.heads, own.head_size))
        np.testing.assert_allclose(ops.convert_to_numpy(part), ops.convert_to_numpy(want), atol=1e-6)
    # Nothing is copied before it is asked for, and attention to an encoder's output never asks.
    joint = functions[id(cross.q_dense)]
    np.testing.assert_allclose(ops.convert_to_numpy(joint(x)), ops.convert_to_numpy(cross.q_dense(x)), atol=1e-6)
    assert joint._joint is None
    monkeypatch.setattr(weights, "JOINT_WIDTH", 8)
    assert not isinstance(engine._prepared.functions()[id(own.q_dense)], JointProduct)
