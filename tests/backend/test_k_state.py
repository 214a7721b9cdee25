"""K where there is a state: losses with Keras 2's clipping, phases, functions, random numbers and loops."""

import keras
import numpy as np
import pytest

from bert4keras2.backend import K

pytestmark = pytest.mark.backend

R = np.random.RandomState(1)
LOGITS = R.randn(2, 3, 5).astype("float32")
PROBAS = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
IDS = np.array([[1, 0, 4], [2, 2, 0]], "int32")
NEGATIVE_LOGS = -np.log(np.take_along_axis(PROBAS, IDS[..., None], -1)[..., 0])


def close(result, expected):
    result = K.eval(result)
    assert result.shape == np.shape(expected) and result.dtype == "float32"
    np.testing.assert_allclose(result, expected, rtol=2e-5, atol=1e-6)


def both(call, *arrays):
    """Return the results on tensors and in a graph."""
    inputs = [keras.Input(batch_shape=a.shape, dtype=str(a.dtype)) for a in arrays]
    return call(*map(keras.ops.convert_to_tensor, arrays)), K.function(inputs, call(*inputs))(list(arrays))


# -- losses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [IDS, IDS[..., None], IDS.astype("float32"), IDS[..., None].astype("float32")])
def test_sparse_categorical_crossentropy(target):
    for result in both(K.sparse_categorical_crossentropy, target, PROBAS):
        close(result, NEGATIVE_LOGS)
    for result in both(lambda t, o: K.sparse_categorical_crossentropy(t, o, from_logits=True), target, LOGITS):
        close(result, NEGATIVE_LOGS)


def test_sparse_categorical_crossentropy_of_rows():
    """(B, 1) labels and (B, C) outputs, the commonest use; probabilities that do not sum to 1 are normalised."""
    output = np.array([[0.2, 0.3, 0.4], [0.1, 0.1, 0.5]], "float32")
    expected = [1.0986123, 0.3364722]  # Keras 2's result
    for result in both(K.sparse_categorical_crossentropy, np.array([[1], [2]], "int32"), output):
        close(result, expected)
    sure = np.array([[1.0, 0.0]], "float32")
    wrong = K.eval(K.sparse_categorical_crossentropy(np.array([[1]], "int32"), sure))
    np.testing.assert_allclose(wrong, [-np.log(1e-7)], rtol=1e-3)
    ignored = K.sparse_categorical_crossentropy(np.array([[-1], [2]], "int32"), output, ignore_class=-1)
    close(ignored, [0, expected[1]])
    close(K.sparse_categorical_crossentropy(IDS, np.moveaxis(PROBAS, -1, 1), axis=1), NEGATIVE_LOGS)


def test_categorical_crossentropy():
    target = np.eye(5, dtype="float32")[IDS]
    for result in both(K.categorical_crossentropy, target, 3 * PROBAS):
        close(result, NEGATIVE_LOGS)
    for result in both(lambda t, o: K.categorical_crossentropy(t, o, from_logits=True), target, LOGITS):
        close(result, NEGATIVE_LOGS)


def test_binary_crossentropy():
    target, output = np.array([0.0, 1, 1, 0], "float32"), np.array([0.0, 0.0, 1.0, 0.3], "float32")
    for result in both(K.binary_crossentropy, target, output):
        close(result, [0, 15.424949, 0, 0.3566748])  # Keras 2's result: clipped by epsilon, which is added again
    logits = np.array([-50.0, 2.0, -3.0, 100.0], "float32")
    expected = np.logaddexp(0, logits.astype("float64")) - logits * target
    for result in both(lambda t, o: K.binary_crossentropy(t, o, from_logits=True), target, logits):
        close(result, expected.astype("float32"))


# -- phases ----------------------------------------------------------------------------------------------------------


def test_in_train_phase_in_a_layer():
    class Noisy(keras.layers.Layer):
        def call(self, x):
            return K.in_train_phase(lambda: x * 2, x)

    layer, x = Noisy(), np.ones((1, 2), "float32")
    assert K.eval(layer(x, training=True)).tolist() == [[2, 2]]
    assert K.eval(layer(x, training=False)).tolist() == K.eval(layer(x)).tolist() == [[1, 1]]
    model = keras.Sequential([keras.Input((2,)), Noisy()])
    assert model.predict(x, verbose=0).tolist() == [[1, 1]]
    model.compile("sgd", "mse")
    # Trained on 2, tested on 1: what fit and evaluate report tells which branch ran.
    assert model.fit(x, 2 * x, verbose=0).history["loss"] == [0]
    assert model.evaluate(x, 2 * x, verbose=0) == 1


def test_in_train_phase_in_a_graph():
    x = keras.Input((2,))
    model = keras.Model(x, K.in_train_phase(x * 2, x))
    data = np.ones((1, 2), "float32")
    assert K.eval(model(data, training=True)).tolist() == [[2, 2]] and model.predict(data, verbose=0).tolist() == [
        [1, 1]
    ]
    run = K.function([x, K.learning_phase()], [model.output])
    assert run([data, 1])[0].tolist() == [[2, 2]] and run([data, 0])[0].tolist() == [[1, 1]]
    assert keras.models.model_from_json(model.to_json())(data, training=True).shape == (1, 2)


def test_given_phases():
    a, b = K.constant(1), K.constant(2)
    assert K.eval(K.in_train_phase(a, b, training=True)) == 1 and K.eval(K.in_train_phase(a, b)) == 2
    assert K.eval(K.in_test_phase(a, b)) == 1 and K.eval(K.in_test_phase(a, b, training=1)) == 2
    assert K.eval(K.in_train_phase(a, b, training=K.equal(a, 1))) == 1
    K.set_learning_phase(1)
    try:
        assert K.learning_phase() == 1 and K.eval(K.in_train_phase(lambda: a, b)) == 1
    finally:
        K.set_learning_phase(0)
    assert K.learning_phase() == 0
    with pytest.raises(ValueError, match="takes 0 or 1"):
        K.set_learning_phase(2)


def test_switch():
    x, y = K.constant([[1, 2], [3, 4]]), K.constant([[5, 6], [7, 8]])
    assert K.eval(K.switch(K.constant(True, dtype="bool"), x, y)).tolist() == [[1, 2], [3, 4]]
    assert K.eval(K.switch(K.constant(0), lambda: x, lambda: y)).tolist() == [[5, 6], [7, 8]]
    assert K.eval(K.switch(True, x, y)).tolist() == [[1, 2], [3, 4]]
    assert K.eval(K.switch(K.constant([0, 1]), x, y)).tolist() == [[5, 6], [3, 4]]
    with pytest.raises(ValueError, match="no more axes"):
        K.switch(x, K.constant([1.0]), K.constant([2.0]))


# -- functions -------------------------------------------------------------------------------------------------------


def test_function():
    x, y = keras.Input((2,)), keras.Input((2,))
    inner = x + y
    outer = inner * 3
    a = np.ones((1, 2))
    assert K.function([x, y], [outer, inner])([a, a])[0].tolist() == [[6, 6]]
    assert isinstance(K.function([x, y], outer)([a, a]), np.ndarray)
    assert K.function([inner], [outer])([a])[0].tolist() == [[3, 3]]  # from the middle of a graph
    assert K.function(x, {"double": x * 2})(a)["double"].tolist() == [[2, 2]]
    with pytest.raises(ValueError, match="takes 2 arrays, got 1"):
        K.function([x, y], outer)([a])
    with pytest.raises(ValueError, match="takes no updates"):
        K.function([x], [x], updates=[1])
    with pytest.raises(ValueError, match="needs symbolic inputs"):
        K.function([a], [a])
    assert K.symbolic(test_function) is test_function
    assert K.int_shape(K.placeholder((None, 3))) == (None, 3) and K.ndim(K.placeholder(ndim=2)) == 2


# -- random numbers --------------------------------------------------------------------------------------------------


def test_random():
    keras.utils.set_random_seed(3)
    uniform = K.eval(K.random_uniform((1000,), -1, 3))
    assert -1 <= uniform.min() < -0.9 and 2.9 < uniform.max() < 3 and abs(uniform.mean() - 1) < 0.15
    integers = K.eval(K.random_uniform((1000,), 0, 4, dtype="int32"))
    assert sorted(set(integers.tolist())) == [0, 1, 2, 3]
    binomial = K.eval(K.random_binomial((1000,), p=0.3))
    assert set(binomial.tolist()) == {0, 1} and abs(binomial.mean() - 0.3) < 0.06 and binomial.dtype == "float32"
    normal = K.eval(K.random_normal((1000,), mean=2, stddev=0.5))
    assert abs(normal.mean() - 2) < 0.08 and abs(normal.std() - 0.5) < 0.06
    assert np.abs(K.eval(K.truncated_normal((1000,)))).max() <= 2
    assert not np.array_equal(K.eval(K.random_uniform((5,))), K.eval(K.random_uniform((5,))))
    first, second = (K.eval(K.random_uniform(K.shape(np.ones((2, 3))), seed=7)) for _ in range(2))
    assert first.tolist() == second.tolist() and first.shape == (2, 3)
    kept = K.eval(K.dropout(K.ones((1000,)), 0.25))
    np.testing.assert_allclose(np.unique(kept), [0, 1 / 0.75], rtol=1e-5)
    assert abs((kept == 0).mean() - 0.25) < 0.06


# -- loops -----------------------------------------------------------------------------------------------------------


def running_sum(x, states):
    total = states[0] + x
    return total, [total]


def test_rnn():
    x = R.randn(2, 4, 3).astype("float32")
    zero = np.zeros((2, 3), "float32")
    last, outputs, (state,) = K.rnn(running_sum, K.constant(x), [K.constant(zero)])
    close(outputs, x.cumsum(1))
    close(last, x.sum(1))
    close(state, x.sum(1))
    _, backwards, _ = K.rnn(running_sum, K.constant(x), [K.constant(zero)], go_backwards=True)
    close(backwards, x[:, ::-1].cumsum(1))
    mask = np.array([[1, 1, 0, 0], [1, 1, 1, 1]], bool)
    last, outputs, _ = K.rnn(running_sum, K.constant(x), [K.constant(zero)], mask=keras.ops.convert_to_tensor(mask))
    close(outputs, (x * mask[..., None]).cumsum(1))
    scaled = lambda x, states: (x * states[-1], states[:-1])  # noqa: E731
    _, outputs, _ = K.rnn(scaled, K.constant(x), [K.constant(zero)], constants=[K.constant(zero + 2)])
    close(outputs, x * 2)


@pytest.mark.parametrize("zeros", [False, True])
def test_rnn_masks_at_the_beginning(zeros):
    """Before the first visible step the output is 0, later the one before; the state is not the output."""
    x, start = R.randn(2, 3, 4).astype("float32"), np.ones((2, 4), "float32")
    mask = np.array([[0, 1, 0], [0, 0, 1]], bool)
    step = lambda x, states: (x * 2, [states[0] + x])  # noqa: E731
    _, outputs, (state,) = K.rnn(
        step, K.constant(x), [K.constant(start)], mask=keras.ops.convert_to_tensor(mask), zero_output_for_mask=zeros
    )
    expected = 2 * x * mask[..., None]
    if not zeros:
        expected[0, 2] = expected[0, 1]
    close(outputs, expected)
    close(state, 1 + (x * mask[..., None]).sum(1))


def test_rnn_in_a_graph():
    x = keras.Input((4, 3))
    last, outputs, _ = K.rnn(running_sum, x, [K.zeros_like(x[:, 0])])
    data = R.randn(2, 4, 3).astype("float32")
    first, second = K.function([x], [last, outputs])([data])
    close(first, data.sum(1))
    close(second, data.cumsum(1))
