"""Scripts that take a step of Keras 2 apart: `K.gradients`, `model.total_loss`, a train function of their own."""

import keras
import numpy as np
import pytest

from bert4keras2.backend import K, search_layer
from bert4keras2.backend import keras as script_keras
from bert4keras2.training import adversarial_training, gradient_penalty, virtual_adversarial_training
from tests.training.by_hand import IDS, pooling_model

pytestmark = pytest.mark.backend
LABELS = np.array([[k % 3] for k in range(len(IDS))])
ON_TENSORFLOW = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="where graphs are differentiated")


def compiled(loss="sparse_categorical_crossentropy", **options):
    model = pooling_model()
    model.compile(keras.optimizers.SGD(0.5), loss, **options)
    return model


def replace(model, epsilon, seen=None):
    """What bert4keras' example of adversarial training does, in its words of Keras 2."""
    if model.train_function is None:
        model._make_train_function()
    old, embeddings = model.train_function, search_layer(model.outputs[0], "Embedding-Token").embeddings
    gradients = K.zeros_like(embeddings) + K.gradients(model.total_loss, [embeddings])[0]
    inputs = model._feed_inputs + model._feed_targets + model._feed_sample_weights
    find = K.function(inputs=inputs, outputs=[gradients], name="embedding_gradients")

    def train_function(inputs):
        gradient = find(inputs)[0]
        if seen is not None:
            seen.append((inputs, gradient))
        delta = epsilon * gradient / (np.sqrt((gradient**2).sum()) + 1e-8)
        K.set_value(embeddings, K.eval(embeddings) + delta)
        outputs = old(inputs)
        K.set_value(embeddings, K.eval(embeddings) - delta)
        return outputs

    model.train_function = train_function


def same_weights(one, other, atol=1e-6):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=atol)


@pytest.mark.parametrize("fitted", [False, True])
def test_a_script_of_adversarial_training(fitted):
    """It trains as `adversarial_training` does, after a `fit` without it too, and reports the same."""
    one, other = compiled(metrics=["accuracy"]), compiled(metrics=["accuracy"])
    if fitted:
        for model in (one, other):
            model.fit(IDS, LABELS, batch_size=2, shuffle=False, verbose=0)
    seen = []
    replace(one, 0.7, seen)
    adversarial_training(other, "Embedding-Token", 0.7)
    logs = [model.fit(IDS, LABELS, batch_size=2, epochs=2, shuffle=False, verbose=0).history for model in (one, other)]
    same_weights(one, other)
    assert list(logs[0]) == list(logs[1])
    np.testing.assert_allclose(logs[0]["loss"], logs[1]["loss"], rtol=1e-5)
    inputs, gradient = seen[0]
    assert [part.shape[0] for part in inputs] == [2, 2, 2] and (inputs[2] == 1).all()  # ids, labels, weights
    assert gradient.shape == (6, 4) and np.abs(gradient).max() > 0


def test_sample_weights_and_compile():
    """Weights reach the script's function and count; `compile` brings the plain step back."""
    weights = np.array([0.0] + [2.0] * (len(IDS) - 1), "float32")
    one, other, seen = compiled(), compiled(), []
    replace(one, 0.3, seen)
    adversarial_training(other, "Embedding-Token", 0.3)
    for model in (one, other):
        model.fit(IDS, LABELS, sample_weight=weights, batch_size=len(IDS), shuffle=False, verbose=0)
    same_weights(one, other)
    np.testing.assert_array_equal(seen[0][0][2], weights)
    count = len(seen)
    one.compile("sgd", "sparse_categorical_crossentropy")
    one.fit(IDS, LABELS, verbose=0)
    assert len(seen) == count


def test_a_source_whose_end_is_not_known():
    model, seen = compiled(), []
    replace(model, 0.3, seen)
    batches = iter([(IDS[:1], LABELS[:1]), (IDS[1:], LABELS[1:])])
    model.fit((batch for batch in batches), verbose=0)
    assert len(seen) == 2


def test_a_script_of_virtual_adversarial_training():
    """Other targets in the list, predictions by `K.function`: a step of it is one of `virtual_adversarial_training`
    but for the direction that it starts from, so the losses are compared where that does not matter."""
    model, seen = compiled("kullback_leibler_divergence"), []
    targets = np.eye(3)[LABELS[:, 0]].astype("float32")
    model._make_train_function()
    old, embeddings = model.train_function, model.get_layer("Embedding-Token").embeddings
    feeds = model._feed_inputs + model._feed_targets + model._feed_sample_weights
    predict = K.function(inputs=feeds, outputs=model.outputs, name="outputs")
    gradient = K.zeros_like(embeddings) + K.gradients(model.total_loss, [embeddings])[0]
    find = K.function(inputs=feeds, outputs=[gradient], name="gradients")

    def train_function(inputs):
        outputs = predict(inputs)
        np.testing.assert_array_equal(outputs[0], predict(inputs[:1])[0])
        inputs = inputs[:1] + outputs + inputs[2:]
        seen.append(find(inputs)[0])
        return old(inputs)

    model.train_function = train_function
    before = model.get_weights()
    history = model.fit(IDS, targets, batch_size=len(IDS), verbose=0)
    assert abs(history.history["loss"][0]) < 1e-6 and np.abs(seen[0]).max() < 1e-6  # KL(p || p)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    virtual_adversarial_training(model, "Embedding-Token")  # takes the place of the script's function
    model.fit(IDS, targets, verbose=0)
    assert len(seen) == 1


@ON_TENSORFLOW
def test_a_loss_with_a_gradient_penalty():
    def loss(y_true, y_pred):
        y_true = K.one_hot(K.cast(K.reshape(y_true, K.shape(y_pred)[:-1]), "int32"), K.shape(y_pred)[-1])
        value = K.mean(K.categorical_crossentropy(y_true, y_pred))
        embeddings = search_layer(y_pred, "Embedding-Token").embeddings
        return value + 0.5 * 2.0 * K.sum(K.gradients(value, [embeddings])[0].values ** 2)

    one, other = compiled(loss), compiled()
    gradient_penalty(other, "Embedding-Token", 2.0, of="vectors")
    for model in (one, other):
        model.fit(IDS, LABELS, batch_size=2, epochs=2, shuffle=False, verbose=0)
    same_weights(one, other)


@ON_TENSORFLOW
@pytest.mark.parametrize("shape_is_said", [True, False])
def test_a_layer_of_gradients(shape_is_said):
    """The gradient of the sum of outputs is that of finite differences, by predict, of few rows and of many."""

    class Unsaid(keras.layers.Layer):
        def call(self, inputs):
            return K.gradients(inputs[1][:, 1], [inputs[0]])[0]

    class Said(Unsaid):
        def compute_output_shape(self, input_shape):
            return input_shape[0]

    model = pooling_model()
    vectors = model.get_layer("Embedding-Token").output
    found = script_keras.models.Model(model.inputs, (Said() if shape_is_said else Unsaid())([vectors, model.output]))
    top = keras.Model(vectors, model.output)
    start = K.eval(model.get_layer("Embedding-Token")(IDS))
    expected = np.zeros_like(start)
    for place in np.ndindex(*start.shape):
        moved = [start.copy() for _ in range(2)]
        moved[0][place] += 1e-2
        moved[1][place] -= 1e-2
        expected[place] = np.subtract(*(top(x)[place[0], 1] for x in moved)) / 2e-2
    many = np.tile(IDS, (40, 1))
    np.testing.assert_allclose(found.predict(IDS, verbose=0), expected, atol=2e-4)
    np.testing.assert_allclose(found.predict(many, verbose=0), np.tile(expected, (40, 1, 1)), atol=2e-4)


def test_what_does_not_work_says_so():
    model = pooling_model()
    for name in ("total_loss", "_feed_targets"):
        with pytest.raises(AttributeError, match=rf"model\.{name} is there once the model is compiled"):
            getattr(model, name)
    model = compiled()
    assert callable(model.train_function) or model.train_function is None
    with pytest.raises(TypeError, match="only the sum with K.zeros_like"):
        K.gradients(model.total_loss, model.trainable_weights[0])[0] + 1.0
    with pytest.raises(NotImplementedError, match=r"inside of a layer's call.*token_attribution"):
        K.gradients(model.output, model.inputs)
    with pytest.raises(NotImplementedError, match="bert4keras2.training work on every"):
        K.gradients(K.constant(1.0), [K.constant(2.0)])
    model._make_train_function()
    with pytest.raises(ValueError, match="takes 1 inputs, then 1 targets and 1 sample weights"):
        model.train_function([IDS, LABELS, LABELS, LABELS])
    gradients = K.gradients(model.total_loss, [model.trainable_weights[0]])
    with pytest.raises(ValueError, match="but not both at once"):
        K.function(model._feed_inputs, [gradients[0], model.output])
    model.train_function = lambda inputs: 3
    with pytest.raises(ValueError, match=r"return outputs.*it returned 3"):
        model.fit(IDS, LABELS, verbose=0)
