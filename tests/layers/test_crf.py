"""The conditional random field: numbers, likelihood, masks, errors, training."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras2.functional.devices import get_available_gpus
from bert4keras2.layers import ConditionalRandomField, Embedding

pytestmark = pytest.mark.backend
LABELS_ARE_READ = pytest.mark.skipif(
    keras.backend.backend() == "torch" and bool(get_available_gpus()), reason="a step on a GPU waits for no label"
)
FOLDER = Path(__file__).parent.parent / "golden" / "layers"
CASES = sorted(path.stem for path in FOLDER.glob("crf*.json"))


def array(x):
    return ops.convert_to_numpy(ops.stop_gradient(ops.convert_to_tensor(x)))


def built(labels: int = 3, **options) -> ConditionalRandomField:
    layer = ConditionalRandomField(**options)
    layer.build((None, None, labels))
    return layer


def gradients(loss, *values):
    """Return the gradients of a scalar function of arrays."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return [np.asarray(g) for g in jax.grad(loss, argnums=tuple(range(len(values))))(*values)]
    tensors = [ops.convert_to_tensor(value) for value in values]
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = loss(*tensors)
        return [np.asarray(tf.convert_to_tensor(g)) for g in tape.gradient(value, tensors)]
    tensors = [tensor.clone().requires_grad_() for tensor in tensors]
    loss(*tensors).backward()
    return [array(tensor.grad) for tensor in tensors]


def summed(layer, y_true, mask):
    """Return the summed loss as a function of the layer's input and its transitions."""

    def loss(x, trans):
        with keras.StatelessScope([(layer._trans, trans)]):
            return ops.sum(layer.sparse_loss(y_true, layer.call(x, mask)))

    return loss


@pytest.mark.parametrize("case", CASES)
def test_golden(case):
    info = json.loads((FOLDER / f"{case}.json").read_text())
    with np.load(FOLDER / f"{case}.npz") as data:
        arrays = dict(data)
    layer = ConditionalRandomField(**info["config"])
    x, y, mask = arrays["in/x"], arrays["in/y"], arrays.get("in/mask")
    layer.build(x.shape)
    assert [weight.path.rsplit("/", 1)[-1] for weight in layer.weights] == ["trans"]
    layer.weights[0].assign(arrays["weight/trans"])
    y_pred = layer(x, mask=mask)
    one_hot = np.eye(x.shape[-1], dtype="float32")[y]
    for name, actual in {
        "y_pred": y_pred,
        "trans": layer.trans,
        "sparse_loss": layer.sparse_loss(y, y_pred),
        "dense_loss": layer.dense_loss(one_hot, y_pred),
        "sparse_accuracy": layer.sparse_accuracy(y[..., None], y_pred),
        "dense_accuracy": layer.dense_accuracy(one_hot, y_pred),
    }.items():
        np.testing.assert_allclose(array(actual), arrays[f"out/{name}"], atol=1e-5, rtol=0, err_msg=name)
    to_x, to_trans = gradients(summed(layer, y, mask), x, arrays["weight/trans"])
    np.testing.assert_allclose(to_x, arrays["out/grad_x"], atol=1e-5, rtol=0)
    # Gradients of the kept weight are lr_multiplier times larger, and so is what rounding does to them.
    tolerance = 1e-5 * info["config"]["lr_multiplier"]
    np.testing.assert_allclose(to_trans, arrays["out/grad_weight"], atol=tolerance, rtol=0)


def brute_force(x, y, mask, trans):
    """Return minus the log-likelihood of each row by adding up all label sequences of its visible stretches."""
    losses = []
    for scores, labels, visible in zip(x.astype("float64"), y, mask, strict=True):
        loss = 0.0
        for seen, stretch in itertools.groupby(range(len(visible)), key=lambda t: visible[t]):
            if not seen:
                continue
            stretch = list(stretch)

            def weight(path, stretch=stretch, scores=scores):
                points = sum(scores[t, label] for t, label in zip(stretch, path, strict=True))
                return points + sum(trans[i, j] for i, j in itertools.pairwise(path))

            everything = [weight(path) for path in itertools.product(range(x.shape[-1]), repeat=len(stretch))]
            loss += np.logaddexp.reduce(everything) - weight(labels[stretch])
        losses.append(loss)
    return losses


@pytest.mark.parametrize("length", [1, 2, 5, 6])
def test_likelihood_is_that_of_all_paths(length):
    rng = np.random.default_rng(length)
    layer = built()
    x = rng.normal(size=(7, length, 3)).astype("float32") * 3
    y = rng.integers(0, 3, (7, length))
    trans = rng.normal(size=(3, 3)).astype("float32") * 2
    layer._trans.assign(trans)
    # Full, padded behind, before, in between, everywhere.
    mask = np.ones((7, length), "bool")
    mask[1, length - length // 3 :] = mask[2, : length // 2] = mask[3, length // 2 : length // 2 + 1] = mask[4] = False
    mask[5, 1:] = False
    mask[6] = rng.random(length) < 0.5
    expected = brute_force(x, y, mask, trans)
    y_pred = layer(x, mask=mask)
    np.testing.assert_allclose(array(layer.sparse_loss(y, y_pred)), expected, atol=1e-5)
    np.testing.assert_allclose(array(layer.dense_loss(np.eye(3)[y], y_pred)), expected, atol=1e-5)


def test_padding_and_impossible_labels_give_finite_gradients():
    rng = np.random.default_rng(0)
    layer = built()
    x = rng.normal(size=(3, 5, 3)).astype("float32")
    mask = np.array([[1, 1, 1, 0, 0], [0] * 5, [1] * 5], "bool")
    y = np.zeros((3, 5), "int32")
    y[0, 3:] = 99  # padding may hold anything
    trans = rng.normal(size=(3, 3)).astype("float32")
    to_x, to_trans = gradients(summed(layer, y, mask), x, trans)
    assert np.isfinite(to_x).all() and np.isfinite(to_trans).all()
    assert (to_x[~mask] == 0).all() and (to_x[mask] != 0).any()
    # A user rules out a label at one position, or transitions to it: no NaN.
    x[2, 1, 2] = -np.inf
    trans[:, 2] = -1e9
    loss = summed(layer, y, mask)
    assert all(np.isfinite(g).all() for g in gradients(loss, x, trans))
    assert np.isfinite(array(layer.dense_loss(np.eye(3)[y % 3], layer.call(x, mask)))).all()


def test_nan_is_not_taken_for_padding():
    layer = built()
    x = np.zeros((1, 4, 3), "float32")
    x[0, 1] = np.nan
    assert np.isnan(array(layer.sparse_loss(np.zeros((1, 4)), layer(x)))).all()


def test_compiled_loss_equals_eager():
    rng = np.random.default_rng(3)
    layer = built()
    x, y = rng.normal(size=(2, 5, 3)).astype("float32"), rng.integers(0, 3, (2, 5))
    mask = np.array([[1] * 5, [1, 1, 0, 0, 0]], "bool")
    trans = array(layer.trans)
    expected = gradients(summed(layer, y, mask), x, trans)
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        def grad(x, trans):
            with tf.GradientTape() as tape:
                tape.watch([x, trans])
                loss = summed(layer, y, mask)(x, trans)
            return tape.gradient(loss, [x, trans])

        actual = tf.function(grad, jit_compile=True)(tf.constant(x), tf.constant(trans))
    elif backend == "jax":
        import jax

        actual = jax.jit(jax.grad(summed(layer, y, mask), argnums=(0, 1)))(x, trans)
    else:
        pytest.skip("PyTorch steps run eagerly")
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(np.asarray(a), b, atol=1e-5)


def test_weight_is_kept_divided():
    keras.utils.set_random_seed(0)
    layer = built(40, lr_multiplier=100)
    np.testing.assert_allclose(array(layer.trans), 100 * array(layer._trans), rtol=1e-6)
    glorot = (6 / 80) ** 0.5
    assert 0.9 * glorot < np.abs(array(layer.trans)).max() <= glorot


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("sparse_loss", (2, 4, 3), ["(2, 4, 3)", "integers", "dense_loss"]),
        ("sparse_accuracy", (2, 5), ["(2, 5)", "(2, 4)"]),
        ("sparse_loss", (2,), ["(2,)", "(2, 4)"]),
        ("dense_loss", (2, 4), ["(2, 4)", "one-hot", "(2, 4, 3)", "sparse_loss"]),
        ("dense_accuracy", (2, 4, 5), ["(2, 4, 5)", "(2, 4, 3)"]),
    ],
)
def test_labels_of_wrong_shape(name, shape, words):
    layer = built()
    y_pred = layer(np.zeros((2, 4, 3), "float32"))
    with pytest.raises(ValueError) as error:
        getattr(layer, name)(np.zeros(shape), y_pred)
    assert all(word in str(error.value) for word in words), error.value


@LABELS_ARE_READ
@pytest.mark.parametrize("label", [3, -1])
def test_labels_out_of_range(label):
    layer = built()
    y = np.zeros((2, 4))
    y[1, 2] = label
    y_pred = layer(np.zeros((2, 4, 3), "float32"))
    for check in (layer.sparse_loss, layer.sparse_accuracy):
        with pytest.raises(ValueError, match=f"label {label}.*3 labels: 0 to 2"):
            check(y, y_pred)
    with pytest.raises(ValueError, match=rf"label {label} at \(1, 2\).*0 to 2"):
        layer.check_labels(y)
    layer.check_labels(y, mask=y == 0)
    hidden = np.ones((2, 4), "bool")
    hidden[1, 2] = False
    assert np.isfinite(array(layer.sparse_loss(y, layer(np.zeros((2, 4, 3), "float32"), mask=hidden)))).all()


@LABELS_ARE_READ
def test_labels_out_of_range_in_a_compiled_step():
    inputs = keras.Input((4, 3))
    layer = ConditionalRandomField()
    model = keras.Model(inputs, layer(inputs))
    model.compile("sgd", loss=layer.sparse_loss, jit_compile=keras.backend.backend() == "jax")
    x, y = np.zeros((2, 4, 3), "float32"), np.full((2, 4), 3)
    if keras.backend.backend() == "jax":
        assert np.isnan(model.train_on_batch(x, y))
    else:
        with pytest.raises(Exception, match="3 labels: 0 to 2"):
            model.train_on_batch(x, y)


def test_inputs_of_wrong_shape_and_multiplier():
    with pytest.raises(ValueError, match=r"batch, length, labels.*\(2, 3\)"):
        ConditionalRandomField().build((2, 3))
    with pytest.raises(ValueError, match="positive number, not 0"):
        ConditionalRandomField(lr_multiplier=0)


def tagger(labels: int = 3, length: int | None = None, **options):
    """A model whose mask flows from its token ids, and its CRF."""
    inputs = keras.Input((length,), dtype="int32")
    x = Embedding(10, 16, mask_zero=True, name="Embedding-Token")(inputs)
    x = keras.layers.Dense(labels)(x)
    layer = ConditionalRandomField(name="crf", **options)
    return keras.Model(inputs, layer(x)), layer


def data(rows: int = 64):
    """Ids, and labels that depend on the id before: only transitions can tell the second half of a pair."""
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 10, (rows, 9))
    labels = ids % 3
    lengths = rng.integers(3, 10, rows)
    padded = np.arange(9)[None] >= lengths[:, None]
    ids[padded] = labels[padded] = 0
    return ids, labels, ~padded


def test_mask_flows_from_the_token_ids():
    model, layer = tagger()
    ids, labels, mask = data(8)
    y_pred = model.predict(ids, verbose=0)
    assert (y_pred[~mask] == -np.inf).all() and np.isfinite(y_pred[mask]).all()
    # The batch's loss is that of its rows alone, without padding.
    alone = [array(layer.sparse_loss(y[None, m], model(i[None, m]))) for i, y, m in zip(ids, labels, mask, strict=True)]
    model.compile("sgd", loss=layer.sparse_loss)
    np.testing.assert_allclose(model.evaluate(ids, labels, verbose=0), np.mean(alone), rtol=1e-5)
    assert getattr(model(ids), "_keras_mask", None) is None


@pytest.mark.parametrize("loss", ["sparse", "dense"])
def test_fit_learns(loss):
    keras.utils.set_random_seed(1)
    model, layer = tagger(lr_multiplier=10)
    ids, labels, mask = data()
    y = labels if loss == "sparse" else np.eye(3)[labels]
    before = array(layer.trans)
    loss, accuracy = getattr(layer, f"{loss}_loss"), getattr(layer, f"{loss}_accuracy")
    model.compile(keras.optimizers.Adam(0.03), loss=loss, metrics=[accuracy])
    history = model.fit(ids, y, batch_size=32, epochs=12, verbose=0).history
    assert history["loss"][-1] < 0.3 * history["loss"][0]
    assert history[accuracy.__name__][-1] > 0.95
    assert np.abs(array(layer.trans) - before).max() > 0.1


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy):
    ids, labels, mask = data(8)
    keras.config.set_dtype_policy(policy)
    try:
        model, layer = tagger()
        x = np.full((1, 2, 3), 1.0001, "float32")
        np.testing.assert_array_equal(array(ConditionalRandomField()(x)), x)
    finally:
        keras.config.set_dtype_policy("float32")
    assert keras.backend.standardize_dtype(model.output.dtype) == "float32"
    y_pred = model(ids)
    assert keras.backend.standardize_dtype(y_pred.dtype) == "float32"
    assert keras.backend.standardize_dtype(layer.sparse_loss(labels, y_pred).dtype) == "float32"
    model.compile("adam", loss=layer.sparse_loss)
    assert np.isfinite(model.fit(ids, labels, verbose=0).history["loss"]).all()


def test_saved_model(tmp_path):
    model, layer = tagger(lr_multiplier=7)
    ids, labels, _ = data(8)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(ids, verbose=0), model.predict(ids, verbose=0), atol=1e-6)
    np.testing.assert_allclose(array(again.get_layer("crf").trans), array(layer.trans), rtol=1e-6)
    assert again.get_layer("crf").get_config() == layer.get_config()
