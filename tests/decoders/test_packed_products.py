"""Packed matrices compute what the matrices do, from the third step of a few rows on and not for prompts."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from cases import build

from bert4keras2.decoders import Generator
from bert4keras2.functional import packed, prepared

TORCH = keras.backend.backend() == "torch"
pytestmark = [pytest.mark.backend, pytest.mark.skipif(not TORCH, reason="PyTorch has these products")]


def draws(*shape: int, dtype: str = "float32"):
    import torch

    values = np.random.RandomState(sum(shape)).normal(size=shape)
    return torch.as_tensor(values, dtype=torch.float32).to(getattr(torch, dtype))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("with_bias", [True, False])
def test_products(dtype, with_bias):
    """Of any number of rows and any layout of the matrix, as of float64; the copy is not the matrix."""
    matrix, bias = draws(96, 64, dtype=dtype).t().contiguous().t(), draws(96, dtype=dtype) if with_bias else None
    function = packed.packed_product(matrix, bias)
    if function is None:
        pytest.skip(f"this processor has no such product in {dtype}")
    for shape in ((1, 64), (5, 1, 64), (2, 3, 64), (200, 64)):
        x = draws(*shape, dtype=dtype)
        want = x.double() @ matrix.double().t() + (0 if bias is None else bias.double())
        # 64 products and a sum are rounded, 2^-24 of their sizes each; what is returned is rounded to its type.
        sizes = x.double().abs() @ matrix.double().abs().t() + 4
        last = 2.0**-24 * 65 * sizes + (2.0**-8 if dtype == "bfloat16" else 2.0**-23) * want.abs()
        assert function(x).shape == want.shape and function(x).dtype is x.dtype
        assert bool(((function(x).double() - want).abs() <= last).all())
    before = function(x)
    matrix.mul_(2)
    assert bool((function(x) == before).all())


def test_types_that_it_does_not_have():
    assert packed.packed_product(draws(8, 8, dtype="float64")) is None


@pytest.mark.parametrize("processor", ["AVX512", "AVX2"])
def test_from_which_call_on(processor, monkeypatch):
    """The third step of a few rows packs; many rows, prompts, small matrices, and one row on some, never do."""
    made, one = [], (1, 1, 8) if processor != "AVX2" else (100, 1, 8)
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: processor)
    monkeypatch.setattr(prepared, "packed_product", lambda *weights: made.append(1) or packed.packed_product(*weights))
    matrix, bias = draws(16, 8), draws(16)
    small = prepared.product(matrix, bias)
    for _ in range(4):
        small(draws(8, 1, 8))
    monkeypatch.setattr(prepared, "STEPS", prepared.STEPS._replace(weights=100))
    monkeypatch.setattr(prepared, "STEPS_OF", {"AVX2": prepared.STEPS_OF["AVX2"]._replace(weights=100)})
    function = prepared.product(matrix, bias)
    for shape in (one, (100, 1, 8), (1, 20, 8)):
        for _ in range(4):
            function(draws(*shape))
    assert not made
    for call in range(5):
        x = draws((1 if processor == "AVX2" else 4) + call, 1, 8)
        want = x @ matrix.t() + bias
        np.testing.assert_allclose(function(x), want, atol=1e-5)
        assert len(made) == (call >= 2)


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("name", ["bert-lm", "gpt2-lm", "t5.1.1"])
def test_generation(name, there, monkeypatch):
    """Beams are what they are without, where PyTorch has these products and where not; new weights count."""
    if not there:
        monkeypatch.setattr(packed, "_available", lambda dtype: False)

    def pack_from(weights):
        monkeypatch.setattr(prepared, "STEPS", prepared.Packing(4, 64, weights, 8))
        monkeypatch.setattr(prepared, "STEPS_OF", {})

    model = build(name)
    generator = Generator(model, end_id=(), **({"start_id": 1} if name == "t5.1.1" else {}))

    def beams():
        return generator.generate([[7, 5, 9]], 8, strategy="beam", num_beams=5, num_return=5)[0]

    def same(found, want):
        assert [line.ids for line in found] == [line.ids for line in want]
        np.testing.assert_allclose([line.score for line in found], [line.score for line in want], atol=1e-5)

    plain = beams()
    generator.engine._prepared._kept.clear()
    pack_from(1)
    same(beams(), plain)
    same(beams(), plain)
    kernel = next(v for v in model.model.weights if v.path.endswith("0-FeedForward/o_dense/kernel"))
    kernel.assign(kernel.numpy() * 3)
    changed = beams()
    generator.engine._prepared._kept.clear()
    pack_from(10**9)
    same(changed, beams())
    assert [line.score for line in changed] != [line.score for line in plain]


@pytest.mark.parametrize("family", ["bert-encoder", "roformer_v2-encoder"])
def test_one_text(family, monkeypatch):
    """A model's answer to few rows is what it is without, before packing, after it, and with other weights."""
    model = build(family).model
    x = [np.array([[7, 5, 9, 31, 2]]), np.zeros((1, 5), "int32")][: len(model.inputs)]
    plain = model.predict(x, verbose=0)
    made = []
    monkeypatch.setattr(prepared, "packed_product", lambda *weights: made.append(1) or packed.packed_product(*weights))
    for packing in (None, prepared.Packing(1, 128, 1, 128)):
        monkeypatch.setattr("bert4keras2.layers.direct.packing_of_text", lambda packing=packing: packing)
        for _ in range(prepared.CALLS_BEFORE + 2):
            np.testing.assert_allclose(model.predict(x, verbose=0), plain, atol=1e-4)
        assert bool(made) == (packing is not None)
    count = len(made)
    kernel = next(v for v in model.weights if v.path.endswith("0-FeedForward/o_dense/kernel"))
    kernel.assign(kernel.numpy() * 3)
    changed = [model.predict(x, verbose=0) for _ in range(prepared.CALLS_BEFORE + 1)]
    assert len(made) == count + 1, "one matrix has changed"
    monkeypatch.setattr("bert4keras2.layers.direct.packing_of_text", lambda: None)
    for found in changed:
        np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-4)
    assert np.abs(changed[0] - plain).max() > 1e-3


def test_a_pass_that_learns_packs_nothing(monkeypatch):
    model = build("bert-lm").model
    monkeypatch.setattr("bert4keras2.layers.direct.packing_of_text", lambda: pytest.fail("gradients would be lost"))
    model([np.array([[7, 5]]), np.zeros((1, 2))][: len(model.inputs)])
