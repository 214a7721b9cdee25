"""Every function of K against NumPy (or Keras 2's own numbers), eager, compiled and in functional graphs."""

import keras
import numpy as np
import pytest

from bert4keras2.backend import K
from bert4keras2.backend import keras as script_keras

pytestmark = pytest.mark.backend

R = np.random.RandomState(0)
X = R.randn(2, 3, 4).astype("float32")
Y = R.randn(2, 3, 4).astype("float32")
P = np.exp(X) / np.exp(X).sum(-1, keepdims=True)
IDS = np.array([[1, 0, 3], [2, 2, 0]], "int32")
MATRIX = R.randn(4, 5).astype("float32")
FLAGS = X > 0


def relu_reference(x):
    return np.minimum(np.where(x >= 0.2, x, 0.1 * (x - 0.2)), 1.0)


# name: (call, arrays, expected)
CASES = {
    "abs": (K.abs, [X], np.abs(X)),
    "square": (K.square, [X], X * X),
    "sqrt": (K.sqrt, [X], np.sqrt(np.maximum(X, 0))),
    "sqrt of integers": (K.sqrt, [IDS], np.sqrt(IDS).astype("float32")),
    "exp": (K.exp, [X], np.exp(X)),
    "log": (K.log, [P], np.log(P)),
    "pow": (lambda x: K.pow(x, 3), [X], X**3),
    "sign": (K.sign, [X], np.sign(X)),
    "round": (K.round, [np.array([0.5, 1.5, -0.5, 2.4], "float32")], np.array([0, 2, 0, 2])),
    "sin": (K.sin, [X], np.sin(X)),
    "cos": (K.cos, [X], np.cos(X)),
    "tanh": (K.tanh, [X], np.tanh(X)),
    "sigmoid": (K.sigmoid, [X], 1 / (1 + np.exp(-X))),
    "hard_sigmoid": (K.hard_sigmoid, [3 * X], np.clip(0.6 * X + 0.5, 0, 1)),
    "softmax": (K.softmax, [X], P),
    "softmax axis": (lambda x: K.softmax(x, axis=1), [X], np.exp(X) / np.exp(X).sum(1, keepdims=True)),
    "softplus": (K.softplus, [X], np.log1p(np.exp(X))),
    "softsign": (K.softsign, [X], X / (1 + np.abs(X))),
    "elu": (lambda x: K.elu(x, alpha=0.5), [X], np.where(X > 0, X, 0.5 * np.expm1(X))),
    "relu": (K.relu, [X], np.maximum(X, 0)),
    "relu with options": (lambda x: K.relu(x, alpha=0.1, max_value=1.0, threshold=0.2), [X], relu_reference(X)),
    "clip": (lambda x: K.clip(x, -0.5, 0.5), [X], np.clip(X, -0.5, 0.5)),
    "clip None": (lambda x: K.clip(x, None, 0.5), [X], np.minimum(X, 0.5)),
    "clip reversed": (lambda x: K.clip(x, 3, 1), [X], np.full_like(X, 3)),
    "clip integers": (lambda x: K.clip(x, 1, 2), [IDS], np.clip(IDS, 1, 2)),
    "where": (K.where, [FLAGS, X, Y], np.where(FLAGS, X, Y)),
    "where broadcasts": (lambda c, x: K.where(c, x, 0.0), [IDS[..., None], X], np.where(IDS[..., None] != 0, X, 0)),
    "equal": (K.equal, [IDS, IDS.T.reshape(2, 3)], IDS.T.reshape(2, 3) == IDS),
    "not_equal": (lambda x: K.not_equal(x, 0), [IDS], IDS != 0),
    "greater": (K.greater, [X, Y], X > Y),
    "greater_equal": (K.greater_equal, [X, Y], X >= Y),
    "less": (K.less, [X, Y], X < Y),
    "less_equal": (K.less_equal, [X, Y], X <= Y),
    "maximum": (K.maximum, [X, Y], np.maximum(X, Y)),
    "minimum": (K.minimum, [X, Y], np.minimum(X, Y)),
    "zeros_like": (K.zeros_like, [X], np.zeros_like(X)),
    "ones_like": (lambda x: K.ones_like(x, dtype="int32"), [X], np.ones(X.shape, "int32")),
    "one_hot": (lambda i: K.one_hot(i, 4), [IDS], np.eye(4, dtype="float32")[IDS]),
    "cast": (lambda x: K.cast(x, "int32"), [X * 5], (X * 5).astype("int32")),
    "cast to floatx": (lambda x: K.cast(x, K.floatx()), [IDS], IDS.astype("float32")),
    "stop_gradient": (K.stop_gradient, [X], X),
    "sum": (K.sum, [X], X.sum()),
    "sum axis": (lambda x: K.sum(x, axis=1, keepdims=True), [X], X.sum(1, keepdims=True)),
    "sum axes": (lambda x: K.sum(x, axis=[0, -1]), [X], X.sum((0, -1))),
    "sum booleans": (lambda x: K.sum(x, -1), [FLAGS], FLAGS.sum(-1).astype("int32")),
    "prod": (lambda x: K.prod(x, -1), [X], X.prod(-1)),
    "mean": (K.mean, [X], X.mean()),
    "mean axis": (lambda x: K.mean(x, 1, keepdims=True), [X], X.mean(1, keepdims=True)),
    "mean booleans": (lambda x: K.mean(x, axis=-1), [FLAGS], FLAGS.mean(-1).astype("float32")),
    "mean integers": (K.mean, [IDS], np.float32(IDS.mean())),
    "var": (lambda x: K.var(x, axis=1), [X], X.var(1)),
    "std": (lambda x: K.std(x, axis=-1, keepdims=True), [X], X.std(-1, keepdims=True)),
    "max": (lambda x: K.max(x, axis=1), [X], X.max(1)),
    "min": (lambda x: K.min(x, axis=-1, keepdims=True), [X], X.min(-1, keepdims=True)),
    "any": (lambda x: K.any(x, axis=-1), [IDS], (IDS != 0).any(-1)),
    "all": (lambda x: K.all(x, axis=-1), [IDS], (IDS != 0).all(-1)),
    "argmax": (K.argmax, [X], X.argmax(-1)),
    "argmin": (lambda x: K.argmin(x, axis=1), [X], X.argmin(1)),
    "cumsum": (K.cumsum, [X], X.cumsum(0)),
    "cumsum axis": (lambda x: K.cumsum(x, axis=1), [X], X.cumsum(1)),
    "cumprod": (lambda x: K.cumprod(x, axis=1), [X], X.cumprod(1)),
    "logsumexp": (lambda x: K.logsumexp(x, axis=-1, keepdims=True), [X], np.log(np.exp(X).sum(-1, keepdims=True))),
    "l2_normalize": (lambda x: K.l2_normalize(x, 1), [X], X / np.sqrt((X**2).sum(1, keepdims=True))),
    "l2_normalize zeros": (K.l2_normalize, [0 * X], 0 * X),
    "in_top_k": (lambda p, t: K.in_top_k(p, t, 2), [P[:, 0], np.array([0, 3], "int32")], None),
    "dot": (K.dot, [X, MATRIX], X @ MATRIX),
    "dot of two": (K.dot, [X[0], MATRIX], X[0] @ MATRIX),
    "dot as NumPy": (K.dot, [X[0, :, :3], R.randn(2, 3, 5).astype("float32")], None),
    "batch_dot": (K.batch_dot, [X, R.randn(2, 4, 5).astype("float32")], None),
    "batch_dot axes": (lambda x, y: K.batch_dot(x, y, axes=2), [X, Y], np.einsum("bik,bjk->bij", X, Y)),
    "batch_dot vectors": (K.batch_dot, [X[:, 0], Y[:, 0]], (X[:, 0] * Y[:, 0]).sum(-1, keepdims=True)),
    "batch_dot mixed": (K.batch_dot, [X, Y[:, 0]], np.einsum("bik,bk->bi", X, Y[:, 0])),
    "bias_add": (K.bias_add, [X, MATRIX[:, 0]], X + MATRIX[:, 0]),
    "shape": (K.shape, [X], np.array([2, 3, 4], "int32")),
    "reshape": (lambda x: K.reshape(x, (-1, 2)), [X], X.reshape(-1, 2)),
    "reshape axes": (lambda x: K.reshape(x, (2, 2), 2, (3, -1), 1), [X], X.reshape(2, 3, 1, 2, 2)),
    "flatten": (K.flatten, [X], X.reshape(-1)),
    "flatten from": (lambda x: K.flatten(x, 1), [X], X.reshape(2, 12)),
    "flatten to": (lambda x: K.flatten(x, end=2), [X], X.reshape(6, 4)),
    "flatten one": (lambda x: K.flatten(x, 1, 2), [X], X),
    "batch_flatten": (K.batch_flatten, [X], X.reshape(2, 12)),
    "expand_dims": (K.expand_dims, [X], X[..., None]),
    "expand_dims axis": (lambda x: K.expand_dims(x, 1), [X], X[:, None]),
    "squeeze": (lambda x: K.squeeze(x, 1), [X[:, :1]], X[:, 0]),
    "transpose": (K.transpose, [X], X.T),
    "permute_dimensions": (lambda x: K.permute_dimensions(x, (0, 2, 1)), [X], X.transpose(0, 2, 1)),
    "tile": (lambda x: K.tile(x, [1, 2, 1]), [X], np.tile(X, [1, 2, 1])),
    "tile number": (lambda x: K.tile(x, 3), [X[0, 0]], np.tile(X[0, 0], 3)),
    "repeat": (lambda x: K.repeat(x, 3), [X[0]], np.repeat(X[0][:, None], 3, 1)),
    "repeat_elements": (lambda x: K.repeat_elements(x, 2, 1), [X], X.repeat(2, 1)),
    "reverse": (lambda x: K.reverse(x, 1), [X], X[:, ::-1]),
    "temporal_padding": (lambda x: K.temporal_padding(x, (1, 2)), [X], np.pad(X, [(0, 0), (1, 2), (0, 0)])),
    "concatenate": (lambda x, y: K.concatenate([x, y]), [X, Y], np.concatenate([X, Y], -1)),
    "concatenate axis": (lambda x, y: K.concatenate([x, y], axis=1), [X, Y], np.concatenate([X, Y], 1)),
    "stack": (lambda x, y: K.stack([x, y]), [X, Y], np.stack([X, Y])),
    "stack axis": (lambda x, y: K.stack([x, y], axis=-1), [X, Y], np.stack([X, Y], -1)),
    "gather": (K.gather, [MATRIX, IDS], MATRIX[IDS]),
    "map_fn": (lambda x: K.map_fn(lambda row: row * 2, x), [X], X * 2),
    "switch": (lambda c, x, y: K.switch(c, x, y), [FLAGS[..., 0], X, Y], np.where(FLAGS[..., :1], X, Y)),
}
CASES["in_top_k"] = (*CASES["in_top_k"][:2], np.array([t in np.argsort(-P[i, 0])[:2] for i, t in enumerate((0, 3))]))
CASES["dot as NumPy"] = (*CASES["dot as NumPy"][:2], np.dot(*CASES["dot as NumPy"][1]))
CASES["batch_dot"] = (*CASES["batch_dot"][:2], np.einsum("bik,bkj->bij", *CASES["batch_dot"][1]))


def check(result, expected, name=""):
    result = K.eval(result) if not isinstance(result, np.ndarray) else result
    expected = np.asarray(expected)
    assert result.shape == expected.shape, name
    kind = "int64" if name.startswith("arg") and keras.backend.backend() != "jax" else None
    assert result.dtype == (
        kind or {"float64": "float32", "int64": result.dtype}.get(str(expected.dtype), expected.dtype)
    )
    if kind:
        assert "int" in str(result.dtype)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6, err_msg=name)


def compiled(function):
    """Return the function as the backend compiles it; PyTorch runs as it is."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function


@pytest.mark.parametrize("name", CASES)
def test_eager(name):
    call, arrays, expected = CASES[name]
    check(call(*[keras.ops.convert_to_tensor(a) for a in arrays]), expected, name)


@pytest.mark.parametrize("name", CASES)
def test_compiled(name):
    call, arrays, expected = CASES[name]
    check(compiled(call)(*[keras.ops.convert_to_tensor(a) for a in arrays]), expected, name)


@pytest.mark.parametrize("name", CASES)
def test_symbolic(name):
    """In a graph of symbolic inputs, the first axis unknown where that can be; K.function runs it."""
    call, arrays, expected = CASES[name]
    inputs = [keras.Input(batch_shape=a.shape, dtype=str(a.dtype)) for a in arrays]
    check(K.function(inputs, call(*inputs))(arrays), expected, name)


def test_unknown_sizes_in_a_graph():
    """Shapes taken in a functional graph are right for every batch, compiled too, and in a saved model."""
    x = keras.Input((None, 4))
    size = K.shape(x)
    outputs = [
        K.reshape(x, (size[0], -1, 2)),
        K.reshape(x, size),
        K.tile(x, [1, size[1], 1]),
        K.zeros((size[0], 3)),
        K.ones(size, dtype="int32"),
        K.flatten(x, 0, 2),
        K.reshape(x, (2, -1), 2),
        K.concatenate([x, K.zeros_like(x)], 1),
    ]
    assert [tuple(o.shape) for o in outputs][:4] == [(None, None, 2), (None, None, None), (None, None, 4), (None, 3)]
    model = keras.Model(x, outputs)
    again = keras.models.model_from_json(model.to_json())
    for rows, length in ((2, 3), (1, 5)):
        data = R.randn(rows, length, 4).astype("float32")
        expected = [
            data.reshape(rows, -1, 2),
            data,
            np.tile(data, [1, length, 1]),
            np.zeros((rows, 3), "float32"),
            np.ones(data.shape, "int32"),
            data.reshape(-1, 4),
            data.reshape(rows, length, 2, 2),
            np.concatenate([data, 0 * data], 1),
        ]
        for computed in (model(data), model.predict_on_batch(data), again(data)):
            for result, wanted in zip(computed, expected, strict=True):
                check(result, wanted)
    check(K.function(x, K.arange(K.shape(x)[1]))(np.ones((2, 3, 4))), np.arange(3, dtype="int32"))


def test_arithmetic_on_sizes_in_a_graph():
    x = keras.Input((None, 4))
    model = keras.Model(x, K.reshape(x, (K.shape(x)[0], K.shape(x)[1] * 2, 2)))
    check(model(X), X.reshape(2, 6, 2))
    if keras.backend.backend() == "jax":
        with pytest.raises(TypeError, match="into the call of a layer"):
            model.predict_on_batch(X)
    else:
        check(model.predict_on_batch(X), X.reshape(2, 6, 2))


def test_unknown_sizes_in_a_layer():
    class Grid(keras.layers.Layer):
        def call(self, x):
            size = K.shape(x)
            grid = K.tile(K.expand_dims(K.arange(0, size[1]), 0), [size[0], 1])
            x = K.reshape(x, (-1, size[1], 2, size[2] // 2))
            x = K.reshape(x, K.concatenate([size[:2], [2, 2]], 0))
            return x + K.cast(K.reshape(grid, (size[0], size[1], 1, 1)), K.floatx())

    model = keras.Sequential([keras.Input((None, 4)), Grid()])
    expected = X.reshape(2, 3, 2, 2) + np.arange(3).reshape(1, 3, 1, 1)
    check(model.predict(X, verbose=0), expected.astype("float32"))


def test_asking():
    assert K.int_shape(X) == (2, 3, 4) and K.ndim(X) == 3 and K.dtype(K.constant(1)) == "float32"
    assert K.int_shape(keras.Input((None, 5))) == (None, None, 5) and K.ndim(keras.Input((2,))) == 2
    assert K.dtype(keras.Input((2,), dtype="int32")) == "int32" and K.dtype(IDS) == "int32"
    assert K.count_params(K.variable(X)) == 24
    assert K.is_tensor(K.constant(1)) and K.is_tensor(keras.Input((2,))) and not K.is_tensor(1)
    assert K.is_keras_tensor(keras.Input((2,))) and K.floatx() == "float32" and K.epsilon() == 1e-7
    assert K.cast_to_floatx([1, 2]).dtype == "float32" and K.backend() == keras.backend.backend()
    assert set(K.__all__) <= set(dir(K)) and "epsilon" in dir(K)


def test_constants_and_ranges():
    check(K.constant([1, 2]), np.array([1, 2], "float32"))
    check(K.constant(3, shape=(2, 2)), np.full((2, 2), 3, "float32"))
    check(K.constant([1, 2, 3, 4], dtype="int32", shape=(2, 2)), np.array([[1, 2], [3, 4]], "int32"))
    check(K.arange(3), np.arange(3, dtype="int32"))
    check(K.arange(-3), np.zeros(0, "int32"))
    check(K.arange(1, 7, 2), np.array([1, 3, 5], "int32"))
    check(K.arange(3, dtype="float32"), np.arange(3, dtype="float32"))
    check(K.zeros((2, 3)), np.zeros((2, 3), "float32"))
    check(K.ones((2,), dtype="int32"), np.ones(2, "int32"))
    check(K.eye(3), np.eye(3, dtype="float32"))
    check(K.stop_gradient([K.constant(X)])[0], X)


def test_variables():
    v = K.variable([[1, 2], [3, 4]], name="v")
    assert K.dtype(v) == "float32" and K.get_value(v).tolist() == [[1, 2], [3, 4]] == K.eval(v).tolist()
    K.set_value(v, np.zeros((2, 2)))
    K.update_add(v, np.ones((2, 2), "float32"))
    K.update_sub(v, 3 * np.ones((2, 2), "float32"))
    assert K.get_value(v).tolist() == [[-2, -2], [-2, -2]]
    K.moving_average_update(v, np.zeros((2, 2), "float32"), 0.25)
    assert K.get_value(v).tolist() == [[-0.5, -0.5], [-0.5, -0.5]]
    w = K.variable(1)
    K.batch_set_value([(v, 2 * np.ones((2, 2))), (w, 5)])
    assert [float(np.sum(a)) for a in K.batch_get_value([v, w])] == [8, 5]
    K.update(w, 7)
    assert K.eval(w) == 7 and K.eval(w * 2) == 14
    with pytest.raises(TypeError, match="needs a variable"):
        K.set_value(K.constant(1), 2)
    with pytest.raises(ValueError, match="symbolic and has no value"):
        K.eval(keras.Input((2,)))


def test_names_that_are_not_there():
    for name, word in {
        "get_session": "K.function",
        "einsum": "use keras.ops.einsum",
        "argmx": "Close: argmax",
        "sparse_categorical_crossentrop": "sparse_categorical_crossentropy",
        "xyzzy": "keras.ops",
    }.items():
        with pytest.raises(AttributeError, match=word):
            getattr(K, name)
        assert not hasattr(K, name)


def test_namespace():
    """Scripts reach K as `keras.backend` too; Keras' own module is left as it is."""
    assert script_keras.backend is K and keras.backend is not K
    assert script_keras.backend.sum is K.sum and not hasattr(keras.backend, "sum")
    assert callable(K.clear_session) and callable(K.set_floatx) and callable(K.image_data_format)
