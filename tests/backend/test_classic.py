"""What scripts use of Keras 2's models: generators, layers found by name, and errors that name the replacement."""

import keras
import numpy as np
import pytest

from bert4keras2.backend import Model, get_available_gpus, is_tf_keras, search_layer
from bert4keras2.backend import keras as script_keras

pytestmark = pytest.mark.backend


def batches(lengths=(3, 5, 4)):
    random = np.random.RandomState(0)
    while True:
        for length in lengths:
            ids = random.randint(0, 9, (2, length))
            yield [ids, np.zeros_like(ids)], ids.sum(-1, keepdims=True) / 10


def make_model():
    keras.utils.set_random_seed(0)
    ids, segments = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    x = keras.layers.Add()([keras.layers.Embedding(9, 4)(ids), keras.layers.Embedding(2, 4)(segments)])
    model = script_keras.models.Model([ids, segments], keras.layers.Dense(1)(keras.layers.GlobalAveragePooling1D()(x)))
    model.compile("sgd", "mse")
    return model


def test_generators():
    """The generator methods give what fit, evaluate and predict give, batches of any length included."""
    model, other = make_model(), make_model()
    seen = []
    history = model.fit_generator(
        batches(),
        steps_per_epoch=3,
        epochs=2,
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))],
        validation_data=batches(),
        validation_steps=3,
        max_queue_size=2,
        workers=1,
        use_multiprocessing=False,
    )
    expected = other.fit(
        batches(), steps_per_epoch=3, epochs=2, verbose=0, validation_data=batches(), validation_steps=3
    )
    assert seen == [0, 1] and len(history.history["val_loss"]) == 2
    np.testing.assert_allclose(history.history["loss"], expected.history["loss"], rtol=1e-6)
    np.testing.assert_allclose(history.history["val_loss"], expected.history["val_loss"], rtol=1e-6)
    loss = model.evaluate_generator(batches(), steps=3, workers=2)
    np.testing.assert_allclose(loss, other.evaluate(batches(), steps=3, verbose=0), rtol=1e-6)
    inputs = [x for x, (_, _) in zip(((b[0],) for b in batches()), [(0, 0)] * 3, strict=False)]
    predicted = model.predict_generator((x for x in inputs), steps=3, max_queue_size=5)
    assert predicted.shape == (6, 1)
    np.testing.assert_allclose(predicted[:2], model.predict(inputs[0][0], verbose=0), rtol=1e-5)
    assert model.fit_generator(batches(), 2, 3, initial_epoch=2, verbose=0).epoch == [2]


@pytest.mark.parametrize(
    "name, word",
    [
        ("_make_test_function", "test_step"),
        ("_standardize_user_data", "train_step"),
        ("_collected_trainable_weights", "trainable_weights"),
        ("metrics_tensors", "add_metric inside compute_loss"),
        ("nothing", "no attribute 'nothing'"),
    ],
)
def test_what_is_gone(name, word):
    model = make_model()
    with pytest.raises(AttributeError, match=word):
        getattr(model, name)
    assert not hasattr(model, name)


@pytest.mark.parametrize("name", ["kullback_leibler_divergence", "logcosh", "cosine_proximity"])
def test_losses_by_their_names_of_keras_2(name):
    model = make_model()
    model.compile("sgd", name)
    assert np.isfinite(model.train_on_batch(*next(batches())))


def test_symbolic_losses():
    model = make_model()
    model.add_loss(keras.ops.mean(model.output))  # tests/training/test_old_habits.py trains with such a loss
    with pytest.raises(ValueError, match="add_metric inside compute_loss"):
        model.add_metric(1.0, name="mean")


def test_search_layer():
    i, j = keras.Input((4,)), keras.Input((4,))
    first = keras.layers.Dense(3, name="a")
    x = keras.layers.Activation("relu", name="b")(first(i))
    inner = keras.Model(i, x, name="inner")
    outer = keras.layers.Dense(2, name="c")(inner(j))
    assert search_layer(outer, "a") is first and search_layer(x, "a") is first
    assert search_layer(outer, "inner") is inner and search_layer(outer, "c").units == 2
    assert search_layer([outer, x], "b").name == "b" and search_layer(inner, "a") is first
    assert search_layer(outer, "nothing") is None and search_layer(x, "c") is None
    assert search_layer(x, "a", exclude_from=["b"]) is None and search_layer(x, "a", exclude_from={first}) is None
    visited = set()
    assert search_layer(x, "nothing", exclude_from=visited) is None and first in visited
    with pytest.raises(TypeError, match="symbolic tensor.*model.output"):
        search_layer(np.ones(2), "a")


def test_environment(monkeypatch):
    assert get_available_gpus() == [] or all(isinstance(name, str) for name in get_available_gpus())
    assert is_tf_keras is False
    assert issubclass(Model, keras.Model) and script_keras.Model is Model


def test_targets_by_the_names_of_output_layers():
    x = keras.Input((3,))
    one, two = keras.layers.Dense(1, name="one")(x), keras.layers.Dense(2, name="two")(x)
    rows = np.ones((4, 3), "float32")
    single = Model(x, one)
    single.compile("sgd", "mse", metrics=["mae"])
    expected = single.evaluate(rows, np.ones((4, 1)), verbose=0)
    np.testing.assert_allclose(single.evaluate(rows, {"one": np.ones((4, 1))}, verbose=0), expected, rtol=1e-6)
    both = Model(x, [one, two])
    both.compile("sgd", "mse")
    expected = both.evaluate(rows, [np.ones((4, 1)), np.zeros((4, 2))], verbose=0, return_dict=True)["loss"]
    named = {"two": np.zeros((4, 2)), "one": np.ones((4, 1))}
    found = both.evaluate(rows, named, verbose=0, return_dict=True)["loss"]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_weights_are_saved_whatever_the_format_was(tmp_path):
    model = Model(x := keras.Input((3,)), keras.layers.Dense(2)(x))
    model.save_weights(tmp_path / "a.weights", save_format="h5")
    model.load_weights(tmp_path / "a.weights")


def test_layers_tell_their_calls():
    from bert4keras2.layers import Add, LayerNormalization

    x, y = keras.Input((2, 3)), keras.Input((2, 3))
    add, norm = Add(), LayerNormalization()
    total = add([x, y])
    first, second = norm(total), norm(x)
    assert norm.get_output_at(0) is first and norm.get_output_at(-1) is second
    assert norm.get_input_at(0) is total and add.get_output_at(-1) is total
    assert [a is b for a, b in zip(add.get_input_at(0), [x, y], strict=True)] == [True, True]
    with pytest.raises(ValueError, match="2 times"):
        norm.get_output_at(2)


def test_predict_takes_nested_lists():
    a, b = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    model = Model([a, b], keras.layers.Embedding(5, 2)(a) + keras.layers.Embedding(2, 2)(b))
    expected = model.predict([np.array([[1, 2, 3]]), np.array([[0, 1, 0]])], verbose=0)
    np.testing.assert_array_equal(model.predict([[[1, 2, 3]], [[0, 1, 0]]], verbose=0), expected)
    np.testing.assert_array_equal(model.predict_on_batch([[[1, 2, 3]], [[0, 1, 0]]]), expected)


def test_outputs_may_be_losses():
    x, y = keras.Input((3,)), keras.Input((1,), name="y")
    error = keras.layers.Lambda(lambda t: keras.ops.mean((t[0] - t[1]) ** 2), output_shape=(), name="error")
    model = Model([x, y], error([keras.layers.Dense(1)(x), y]))
    model.compile(keras.optimizers.SGD(0.1), {"error": lambda y_true, y_pred: y_pred})
    rows, targets = np.ones((4, 3), "float32"), np.zeros((4, 1), "float32")
    first = model.train_on_batch([rows, targets], {"error": np.zeros(4)})
    assert model.train_on_batch([rows, targets], {"error": np.zeros(4)}) < first
