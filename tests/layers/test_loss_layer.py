"""`Loss` layers: what they add to the loss, metrics and masks."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops
from test_functions import numpy, rand

from bert4keras2 import layers
from bert4keras2.backend import Model

pytestmark = pytest.mark.backend

# -- losses ------------------------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable("tests")
class CrossEntropy(layers.Loss):
    """Loss of [y_true, y_pred], with the share of right answers as a metric."""

    def compute_loss(self, inputs, mask=None):
        y_true, y_pred = inputs
        right = ops.equal(y_true[:, 0], ops.cast(ops.argmax(y_pred, -1), y_true.dtype))
        self.add_metric(ops.mean(ops.cast(right, "float32")), name="accuracy", aggregation="mean")
        loss = ops.mean(keras.losses.sparse_categorical_crossentropy(y_true, y_pred))
        self.add_metric(loss, name="cross")
        return loss


def training_model(cls=Model, output_axis=1, **kwargs):
    keras.utils.set_random_seed(0)
    x, y = keras.Input((4,), name="x"), keras.Input((1,), name="y", dtype="int32")
    probabilities = keras.layers.Dense(3, activation="softmax", name="dense")(x)
    return cls([x, y], CrossEntropy(output_axis, name="ce", **kwargs)([y, probabilities]))


def data(rows=12):
    labels = np.arange(rows)[:, None] % 3
    return [(rand(rows, 4) + 2 * np.eye(4)[labels[:, 0]]).astype("float32"), labels.astype("int32")]


class Pairs(layers.Loss):
    """Rows 2i and 2i + 1 belong together."""

    def compute_loss(self, inputs, mask=None):
        self.add_metric(ops.mean(inputs[0]), name="mean")
        return ops.mean(ops.square(inputs[0][::2] - inputs[0][1::2])) + 0 * ops.mean(inputs[1][::3] + inputs[1][2::3])


def test_losses_of_pairs_and_triplets():
    """Keras tries layers out with 83 rows on JAX and PyTorch, which no such loss can be computed of."""
    x = keras.Input((4,))
    y = keras.layers.Dense(3)(x)
    model = Model(x, Pairs(0)([y, keras.layers.Dense(2)(x)]))
    assert model.output.shape == (None, 3)
    model.compile(keras.optimizers.SGD(0.1))
    history = model.fit(rand(12, 4), epochs=9, batch_size=6, shuffle=False, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] and "mean" in history


@pytest.mark.parametrize("cls", [Model, keras.Model])
def test_metrics_of_a_loss_layer(cls):
    """The means of a layer are in the history, per epoch, for training and validation, on all backends."""
    model = training_model(cls)
    x = data()
    model.compile(optimizer=keras.optimizers.SGD(0.5))
    seen = []
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(sorted(logs)))
    history = model.fit(
        x, None, epochs=6, batch_size=4, shuffle=False, validation_data=(x, None), verbose=0, callbacks=[callback]
    ).history
    assert set(history) == {"loss", "accuracy", "cross", "val_loss", "val_accuracy", "val_cross"}
    np.testing.assert_allclose(history["cross"], history["loss"], atol=1e-5)
    np.testing.assert_allclose(history["val_cross"], history["val_loss"], atol=1e-5)
    assert history["loss"][-1] < history["loss"][0] and history["val_accuracy"][-1] > 0.8
    probabilities = model.predict(x, verbose=0)
    accuracy = (probabilities.argmax(-1) == x[1][:, 0]).mean()
    result = model.evaluate(x, None, verbose=0, return_dict=True)
    assert result["accuracy"] == pytest.approx(accuracy, abs=1e-6) and result["cross"] == pytest.approx(
        result["loss"], abs=1e-5
    )
    assert set(seen[0]) == {"accuracy", "cross", "loss"}


def test_metrics_after_each_step():
    model = training_model()
    x = data()
    model.compile(optimizer="sgd")
    found = []

    def note(batch, logs):
        found.append((float(logs["loss"]), float(logs["cross"])))

    callback = keras.callbacks.LambdaCallback(on_train_batch_end=note)
    model.fit(x, epochs=2, batch_size=4, verbose=0, callbacks=[callback])
    np.testing.assert_allclose(*zip(*found, strict=True), atol=1e-5)
    model.reset_metrics()
    for _ in range(2):
        result = model.train_on_batch(x, return_dict=True)
        assert result["cross"] == pytest.approx(result["loss"], abs=1e-5)
    assert model.test_on_batch(x, return_dict=True)["cross"] > 0


def test_metrics_are_no_weights(tmp_path):
    """Weight files and counts know nothing of the means: a model trained with them loads into one without."""
    model, plain = training_model(), keras.layers.Dense(3)
    plain.build((None, 4))
    model.compile(optimizer="sgd")
    model.fit(data(), verbose=0)
    assert len(model.weights) == 2 and model.count_params() == 15
    model.save_weights(tmp_path / "best.weights")
    other = training_model()
    other.load_weights(tmp_path / "best.weights")
    np.testing.assert_array_equal(numpy(other.weights[0]), numpy(model.weights[0]))


def test_loss_layer_needs_a_metric_name():
    with pytest.raises(ValueError, match="needs a name"):
        layers.Loss(name="l").add_metric(1.0)
    with pytest.raises(NotImplementedError, match="Loss must define compute_loss"):
        layers.Loss()([ops.ones((1,))])


@pytest.mark.parametrize(
    ("axis", "shapes"),
    [(None, [(2, 1), (2, 3)]), (1, [(2, 3)]), ([1], [(2, 3)]), ([1, 0], [(2, 3), (2, 1)]), (-1, [(2, 3)])],
)
def test_output_axis(axis, shapes):
    model = training_model(output_axis=axis)
    outputs = model([ops.convert_to_tensor(a[:2]) for a in data()])
    outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
    assert [tuple(o.shape) for o in outputs] == shapes
    assert [tuple(o.shape)[1:] for o in model.outputs] == [s[1:] for s in shapes]


def test_loss_layer_sees_and_passes_masks():
    seen = []

    class Masked(layers.Loss):
        def compute_loss(self, inputs, mask=None):
            seen.append(mask)
            weights = ops.cast(mask[1], "float32")
            return ops.sum(ops.mean(inputs[1], -1) * weights) / ops.sum(weights)

    ids = ops.convert_to_tensor(np.array([[1, 2, 0], [1, 0, 0]]))
    vectors = layers.Embedding(5, 4, mask_zero=True)(ids)
    layer = Masked(1)
    y = layer([ids, vectors])
    assert seen[-1][0] is None
    expected = [[True, True, False], [True, False, False]]
    assert numpy(seen[-1][1]).tolist() == expected
    assert numpy(keras.src.backend.get_keras_mask(y)).tolist() == expected
    assert float(numpy(layer.losses[0])) == pytest.approx(numpy(vectors)[np.array(expected)].mean(), abs=1e-6)


def test_loss_layer_in_a_saved_model(tmp_path):
    model = training_model()
    model.compile(optimizer="adam")
    model.fit(data(), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model.predict(data(), verbose=0), loaded.predict(data(), verbose=0))
    before = model.train_on_batch(data(), return_dict=True)
    after = loaded.train_on_batch(data(), return_dict=True)
    assert before["loss"] == pytest.approx(after["loss"], abs=1e-5) and set(before) == set(after)


def test_generator_without_labels():
    """Batches (inputs, None), as scripts yield them, and a loss in a layer."""

    def batches():
        while True:
            yield tuple(data()), None

    model = training_model()
    model.compile(optimizer="adam")
    history = model.fit(batches(), steps_per_epoch=2, verbose=0).history
    assert np.isfinite(history["loss"]).all() and np.isfinite(history["accuracy"]).all()


def test_loss_layer_under_mixed_precision():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = training_model(dtype="float32")
        half = training_model()
    finally:
        keras.config.set_dtype_policy(policy)
    for m in (model, half):
        m.compile(optimizer="sgd")
        history = m.fit(data(), epochs=2, batch_size=4, verbose=0).history
        np.testing.assert_allclose(history["cross"], history["loss"], rtol=2e-2)


def test_whole_numbers_reach_the_loss_as_floats():
    kinds = []

    class Masked(layers.Loss):
        def compute_loss(self, inputs, mask=None):
            kinds.extend(keras.backend.standardize_dtype(x.dtype) for x in inputs)
            ids, segments, scores = inputs
            return ops.sum(scores * segments) / ops.sum(segments)  # TensorFlow multiplies no int32 with float32

    ids, segments = keras.Input((3,), dtype="int32"), keras.Input((3,), dtype="int32")
    scores = keras.layers.Embedding(5, 1)(ids)[..., 0]
    outputs = Masked()([ids, segments, scores])
    assert {*kinds} == {"float32"} and [x.dtype for x in outputs[:2]] == ["int32", "int32"]
    model = Model([ids, segments], outputs)
    model.compile("sgd")
    array = np.array([[1, 2, 0]])
    assert np.isfinite(model.train_on_batch([array, array]))
