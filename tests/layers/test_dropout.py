"""Dropout: rates, scale, seeds and what of Keras' layer it keeps."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from bert4keras2.backend import set_seed
from bert4keras2.functional.devices import get_available_gpus
from bert4keras2.layers import Dropout

pytestmark = pytest.mark.backend
ROWS = np.ones((1000, 1001), "float32")  # no multiple of four numbers of 16 bits


def dropped(layer, x=ROWS):
    return keras.ops.convert_to_numpy(layer(keras.ops.convert_to_tensor(x), training=True))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.93])
def test_share_and_mean(rate):
    """The share lies within some standard deviations, in rows, columns and beside neighbours, and the mean stays."""
    set_seed(1)
    found = dropped(Dropout(rate))
    zeros = found == 0
    spread = (rate * (1 - rate)) ** 0.5
    assert abs(zeros.mean() - rate) < 5 * spread / ROWS.size**0.5
    assert np.abs(zeros.mean(0) - rate).max() < 6 * spread / 1000**0.5
    assert np.abs(zeros.mean(1) - rate).max() < 6 * spread / 1000**0.5
    for shift in (1, 2, 3, 4, 8):  # neighbours do not know of each other
        both = (zeros.ravel()[shift:] & zeros.ravel()[:-shift]).mean()
        assert abs(both - rate**2) < 5 * rate / ROWS.size**0.5
    np.testing.assert_allclose(np.unique(found), [0, 1 / (1 - rate)], rtol=2e-4)
    of_keras = keras.backend.backend() == "torch" and get_available_gpus()
    kept = 1 - (rate if of_keras else round(rate * 65536) / 65536)
    np.testing.assert_allclose(found.max() * kept, 1, rtol=1e-6)


def test_each_call_and_each_layer_draws_anew():
    set_seed(2)
    first, second = Dropout(0.5), Dropout(0.5)
    masks = [dropped(layer) == 0 for layer in (first, first, second)]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert abs((masks[a] == masks[b]).mean() - 0.5) < 0.01
    set_seed(2)
    again = [dropped(layer) == 0 for layer in (Dropout(0.5),)]
    np.testing.assert_array_equal(again[0], masks[0])


def test_gradients_follow_what_was_kept():
    """One step of descent moves those inputs alone that were kept, by the scale."""
    embedding = keras.layers.Embedding(1, 400, embeddings_initializer="ones")
    ids = keras.Input((1,), dtype="int32")
    model = keras.Model(ids, Dropout(0.25)(embedding(ids)))
    model.compile(keras.optimizers.SGD(1.0), loss=lambda y, p: keras.ops.sum(p))
    model.train_on_batch(np.zeros((1, 1), "int32"), np.zeros((1, 1, 400), "float32"))
    moved = 1 - keras.ops.convert_to_numpy(embedding.embeddings)[0]
    np.testing.assert_allclose(np.unique(np.round(moved, 5)), [0, round(4 / 3, 5)], atol=2e-5)
    assert 50 < (moved == 0).sum() < 150


def test_as_keras_has_it():
    x = np.ones((2, 3, 4), "float32")
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(Dropout(0.5)(x)), x)
    np.testing.assert_array_equal(dropped(Dropout(0.0), x), x)
    np.testing.assert_array_equal(dropped(Dropout(1.0), x), 0 * x)
    np.testing.assert_array_equal(dropped(Dropout(0.5, seed=3)), dropped(Dropout(0.5, seed=3)))
    whole = dropped(Dropout(0.5, noise_shape=(None, 1)), np.ones((50, 20), "float32"))
    assert all(len(set(row)) == 1 for row in whole.tolist())
    layer = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(Dropout(0.2, name="d")))
    assert type(layer) is Dropout and isinstance(layer, keras.layers.Dropout) and layer.rate == 0.2
    half = Dropout(0.5, dtype="bfloat16")
    found = half(keras.ops.ones((100, 100), dtype="bfloat16"), training=True)
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="other backends have no such kernel")
@pytest.mark.parametrize("masked", [False, True])
def test_the_fused_kernel_drops_weights(masked):
    """With values of one, an output is the sum of the weights: 1 without dropout, and on average with it."""
    import torch

    from bert4keras2.layers.attention import attend

    query, key = (torch.randn(200, 6, 2, 4) for _ in range(2))
    mask = torch.ones(200, 1, 1, 6, dtype=torch.bool) if masked else None
    value = torch.ones(200, 6, 2, 4)
    plain = attend(query, key, value, mask)
    np.testing.assert_allclose(plain, 1, atol=1e-6)
    dropped = attend(query, key, value, mask, dropout=lambda weights: weights * np.nan, dropped=0.5)[..., 0].numpy()
    assert dropped.std() > 0.1
    assert abs(dropped.mean() - 1) < 5 * dropped.std() / np.sqrt(dropped.size)
