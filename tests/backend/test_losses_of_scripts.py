"""Losses as scripts write them, on all backends: K.shape in arithmetic, NumPy arrays as operands, reading by NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from cases import BASE

from bert4keras2.backend import K, keras
from bert4keras2.layers import Loss
from bert4keras2.models import build_transformer_model

pytestmark = pytest.mark.backend
IDS = np.array([[2, 7, 8, 3, 0], [2, 9, 9, 9, 3], [2, 5, 3, 0, 0], [2, 6, 7, 3, 0]])
Y = np.array([[0.0], [1.0], [1.0], [0.0]])
WEIGHTS = np.linspace(0, 1, 16)


def even_and_odd(y_true, y_pred):
    """Rows 2i and 2i + 1 belong together: arithmetic on the number of rows."""
    size = K.shape(y_pred)[0]
    pairs = K.reshape(y_pred, (size // 2, 2, K.shape(y_pred)[1]))
    return K.sum(K.square(pairs[:, 0] - pairs[:, 1])) / K.cast(size, K.floatx()) + K.mean(y_pred[: size // 2])


def simcse(y_true, y_pred):
    """Rows find their partners by their number."""
    rows = K.arange(0, K.shape(y_pred)[0])
    wanted = K.cast(K.equal(rows[None, :], (rows + 1 - rows % 2 * 2)[:, None]), K.floatx())
    y_pred = K.l2_normalize(y_pred, axis=1)
    scores = K.dot(y_pred, K.transpose(y_pred)) * 20 - np.eye(4) * 1e4
    return K.mean(K.categorical_crossentropy(wanted, scores, from_logits=True))


def global_pointer(y_true, y_pred):
    """Products of sizes are sizes."""
    shape = K.shape(y_pred)
    pairs = K.reshape(y_pred, (K.prod(shape[:1]), -1, 4))
    return K.mean(K.square(K.reshape(pairs, (shape[0], K.prod(K.shape(pairs)[1:])))))


def weighted(y_true, y_pred):
    """NumPy's arrays on both sides of operators."""
    inside = (y_pred > WEIGHTS[None]) | (y_pred <= WEIGHTS)
    total = WEIGHTS * y_pred + y_pred * WEIGHTS - (WEIGHTS - y_pred) / np.float64(2) + y_pred / (1 + WEIGHTS)
    return K.mean(total * K.cast(inside, K.floatx())) + K.mean(np.eye(4, dtype="float32") @ y_pred)


def cosent(y_true, y_pred):
    """Comparisons of labels as factors, and a list beside a tensor."""
    order = K.cast(y_true[:, None, 0] < y_true[None, :, 0], K.floatx())
    scores = K.sum(y_pred, 1)
    scores = K.reshape(scores[:, None] - scores[None, :] - (1 - order) * 1e12, [-1])
    return K.logsumexp(K.concatenate([[0], scores], axis=0))


@pytest.fixture(scope="module")
def encoder():
    bert = build_transformer_model({**BASE, "num_hidden_layers": 1, "hidden_dropout_prob": 0.0})
    return keras.models.Model(bert.inputs, keras.layers.GlobalAveragePooling1D()(bert.output))


LOSSES = [even_and_odd, simcse, global_pointer, weighted, cosent]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_losses_train_and_have_their_values(encoder, loss):
    encoder.compile(keras.optimizers.SGD(0.0), loss)
    x = [IDS, IDS * 0]
    seen = encoder.fit(x, Y, verbose=0, shuffle=False).history["loss"][0]
    outputs = keras.ops.convert_to_tensor(encoder.predict(x, verbose=0))
    want = float(K.eval(loss(keras.ops.convert_to_tensor(Y, "float32"), outputs))) if _takes_arrays(loss) else None
    assert np.isfinite(seen) and (want is None or seen == pytest.approx(want, rel=1e-3, abs=1e-5))


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="JAX takes no arrays of TensorFlow")
def test_constants_of_tensorflow(encoder):
    """Scripts import TensorFlow for tf.eye and the like; what is subtracted stays differentiable."""
    tf = pytest.importorskip("tensorflow")
    encoder.compile(
        keras.optimizers.SGD(0.1), lambda y_true, y_pred: K.mean(K.square(y_pred[:, :4] - tf.eye(4) * 1e-3))
    )
    before = encoder.get_weights()
    assert encoder.train_on_batch([IDS, IDS * 0], Y) > 0
    assert any((a != b).any() for a, b in zip(before, encoder.get_weights(), strict=True))


def _takes_arrays(loss):
    """Whether a loss can be called outside of a model: PyTorch's own tensors take no arrays."""
    return keras.backend.backend() != "torch" or loss in (even_and_odd, global_pointer, cosent)


class Masked(Loss):
    """Multiplies by an array of its own, from both sides."""

    def compute_loss(self, inputs, mask=None):
        labels, scores = inputs
        half = np.full((1, 1), 0.5)
        loss = K.sparse_categorical_crossentropy(labels, scores)
        mask = K.cast(mask[1], K.floatx())
        self.add_metric(K.mean(loss * half), name="half")
        return K.sum((half * loss + loss * half) * mask) / K.sum(mask)


def test_a_loss_layer_takes_arrays():
    bert = build_transformer_model({**BASE, "num_hidden_layers": 1}, with_mlm=True)
    labels = keras.Input((None,))
    model = keras.models.Model([*bert.inputs, labels], Masked(1)([labels, bert.output]))
    model.compile("adam")
    history = model.fit([IDS, IDS * 0, IDS.astype("float32")], verbose=0).history
    assert 0 < history["half"][0] < history["loss"][0]


def test_outputs_are_read_by_numpy(encoder):
    outputs = encoder([IDS, IDS * 0])
    want = encoder.predict([IDS, IDS * 0], verbose=0)
    np.testing.assert_allclose(np.asarray(outputs), want, atol=1e-5)
    np.testing.assert_allclose(K.get_value(outputs), want, atol=1e-5)
    np.testing.assert_allclose(np.array(outputs).argmax(-1), want.argmax(-1))
    if keras.backend.backend() != "jax":  # whose arrays have no such method
        np.testing.assert_allclose(outputs.numpy(), want, atol=1e-5)


def test_gradients_pass_through():
    if keras.backend.backend() != "torch":
        pytest.skip("of PyTorch's tensors")
    import torch

    from bert4keras2.functional.torch_tensors import forgiving, plain

    x = torch.ones(3, requires_grad=True)
    y = forgiving(x) * np.arange(3.0)
    assert type(plain(y)) is torch.Tensor and y.dtype == torch.float32
    plain((np.arange(3.0) * forgiving(y)).sum()).backward()
    assert x.grad.tolist() == [0.0, 1.0, 4.0]
    assert (forgiving(x) == np.ones(3)).tolist() == [True] * 3 and hash(forgiving(x)) is not None
    assert forgiving([x, (None, 2)])[1] == (None, 2)
