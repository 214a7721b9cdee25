"""The token embeddings' table, as subclasses of scripts replace it for a call."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras2.backend import K, Model
from bert4keras2.layers import Embedding


class Few(Embedding):
    """Trains rows 1 and 2 alone, as P-tuning does."""

    def call(self, inputs, mode="embedding"):
        table = self.embeddings
        mask = np.zeros((K.int_shape(table)[0], 1))
        mask[1:3] = 1
        self.embeddings = table * mask + K.stop_gradient(table) * (1 - mask)
        outputs = super().call(inputs, mode)
        self.embeddings = table
        return outputs


def test_a_subclass_replaces_the_table_for_a_call():
    layer = Few(5, 3)
    ids = keras.Input((None,), dtype="int32")
    scores = layer(layer(ids), mode="dense")
    model = Model(ids, ops.mean(scores, axis=1))
    model.compile(keras.optimizers.SGD(0.5), "mse")
    before = ops.convert_to_numpy(layer.embeddings).copy()
    array = np.array([[1, 2, 3, 4], [1, 4, 3, 2]])
    direct = before[array] @ before.T
    np.testing.assert_allclose(model.predict(array, verbose=0), direct.mean(1), rtol=1e-5, atol=1e-6)
    model.fit(array, np.ones((2, 5), "float32"), verbose=0)
    after = ops.convert_to_numpy(layer.embeddings)
    assert isinstance(layer.embeddings, keras.Variable) and len(layer.weights) == 1
    np.testing.assert_array_equal(before[[0, 3, 4]], after[[0, 3, 4]])
    assert (np.abs(before - after)[1:3] > 1e-4).all()


def test_the_table_is_back_after_an_error():
    class Broken(Embedding):
        def call(self, inputs, mode="embedding"):
            self.embeddings = self.embeddings * 2
            raise RuntimeError("no")

    layer = Broken(5, 3)
    layer.build()
    with pytest.raises(RuntimeError):
        layer(np.array([[1]]))
    assert isinstance(layer.embeddings, keras.Variable)


def test_a_table_is_set_within_a_call_alone():
    layer = Few(5, 3)
    layer.build()
    with pytest.raises(AttributeError, match="embeddings.assign"):
        layer.embeddings = np.zeros((5, 3))
