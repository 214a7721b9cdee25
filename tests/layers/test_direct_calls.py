"""Layers that PyTorch calls with fewer steps give what Keras' own way gives, masks among it."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from bert4keras2.functional import keras_private
from bert4keras2.layers import Add, FeedForward, LayerNormalization
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


def test_same_outputs_and_masks(counted, monkeypatch):
    sizes = {"vocab_size": 30, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24}
    model = build_transformer_model(**sizes, num_hidden_layers=2, hidden_act="gelu", max_position=16)
    ids = keras.ops.convert_to_tensor(np.array([[5, 6, 7, 0], [8, 9, 0, 0]], "int32"))
    inputs = [ids, keras.ops.zeros_like(ids)]
    counted.clear()
    fast = model(inputs)
    few = len(counted)
    monkeypatch.setattr(DirectCalls, "called_directly", lambda self, args, kwargs: False)
    monkeypatch.setattr("bert4keras2.layers.direct._is_plain", lambda tensor, dtype=None: False)
    for kind in (Add,):
        monkeypatch.setattr(kind, "called_directly", lambda self, args, kwargs: False)
    counted.clear()
    slow = model(inputs)
    # Two tables, positions, mask, and the model; a block's six layers and the six within them are called directly.
    assert few <= 10 and len(counted) >= few + 2 * 10
    np.testing.assert_allclose(fast.detach().numpy(), slow.detach().numpy(), atol=1e-6)
    own, other = (keras_private.mask_of(output) for output in (fast, slow))
    np.testing.assert_array_equal(own, other)
    np.testing.assert_array_equal(own, [[1, 1, 1, 0], [1, 1, 0, 0]])


def test_what_is_changed_elsewhere_is_called(counted):
    """A subclass, a replaced `call`, half precision, symbolic and other inputs go Keras' way."""
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
    np.testing.assert_allclose(norm(x.numpy()).detach().numpy(), 0, atol=1e-3)
