"""Habits of scripts for Keras 2: symbolic losses, attributes of layers, Sequential, names of files, monitors."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from cases import BASE

from bert4keras2.backend import K, keras
from bert4keras2.layers import Loss
from bert4keras2.models import build_transformer_model
from bert4keras2.training.callbacks import MORE_IS_BETTER

pytestmark = pytest.mark.backend
IDS = np.array([[2, 7, 8, 3, 0], [2, 9, 9, 9, 3]])
X, Y = [IDS, IDS * 0], np.array([0, 1])
SMALL = {**BASE, "num_hidden_layers": 1, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def classifier():
    bert = build_transformer_model(SMALL)
    return keras.models.Model(bert.inputs, keras.layers.Dense(2, activation="softmax", name="head")(bert.output[:, 0]))


# -- symbolic losses and metrics -------------------------------------------------------------------------------------


def with_labels():
    bert = build_transformer_model(SMALL)
    labels = keras.Input((None,), name="labels")
    scores = keras.layers.Dense(BASE["vocab_size"], activation="softmax")(bert.output)
    model = keras.models.Model([*bert.inputs, labels], scores)
    return model, K.sparse_categorical_crossentropy(labels, scores), labels


def test_a_symbolic_loss_is_minimised(tmp_path):
    model, loss, labels = with_labels()
    before = model.output_shape
    model.add_loss(K.mean(loss))
    accuracy = K.mean(K.cast(K.equal(K.cast(K.argmax(model.output, -1), "float32"), labels), "float32"))
    model.add_metric(accuracy, name="accuracy", aggregation="mean")
    model.compile(keras.optimizers.Adam(0.02))
    data = [*X, IDS.astype("float32")]
    history = model.fit(data, epochs=12, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] - 0.3 and 0 < history["accuracy"][-1] <= 1
    want = np.log(np.take_along_axis(model.predict(data, verbose=0), IDS[..., None], -1)).mean()
    assert model.evaluate(data, verbose=0, return_dict=True)["loss"] == pytest.approx(-want, rel=1e-4)
    assert model.output_shape == before
    model.save(tmp_path / "m.keras")
    other = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(other.predict(data, verbose=0), model.predict(data, verbose=0), atol=1e-6)
    assert other.evaluate(data, verbose=0, return_dict=True)["loss"] == pytest.approx(-want, rel=1e-4)


def test_what_is_no_loss_of_the_graph():
    model, *_ = with_labels()
    with pytest.raises(ValueError, match="takes a symbolic tensor and a name: report it with add_metric"):
        model.add_metric(1.0, name="one")


# -- layers of a graph -----------------------------------------------------------------------------------------------


def test_attributes_of_layers():
    model = build_transformer_model(SMALL)
    layer = model.get_layer("Embedding-Token")
    assert layer.output_shape == (None, None, 16) and layer.input_shape == (None, None) and layer.input_mask is None
    masked = keras.Model(model.inputs, layer.output_mask)
    assert np.asarray(keras.ops.convert_to_numpy(masked(X))).tolist() == (IDS != 0).tolist()
    assert model.get_layer("Embedding-Token-Segment").input_shape == [(None, None, 16)] * 2
    assert model.get_layer(0).name == "Input-Token"


def test_names_of_layers_of_earlier_releases():
    model = build_transformer_model({**SMALL, "num_hidden_layers": 3})
    with pytest.warns(UserWarning, match="'Transformer-2-FeedForward-Norm' today"):
        assert model.get_layer("Encoder-3-FeedForward-Norm").name == "Transformer-2-FeedForward-Norm"
    for missing in ("Encoder-4-FeedForward-Norm", "Transformer-3-FeedForward-Norm", "nothing"):
        with pytest.raises(ValueError, match="No such layer"):
            model.get_layer(missing)


def test_blocks_that_share_their_layers():
    model = build_transformer_model({**SMALL, "num_hidden_layers": 3}, model="albert")
    layer = model.get_layer("Transformer-FeedForward-Norm")
    states = [layer.get_output_at(i) for i in range(3)]
    assert len({id(state) for state in states}) == 3 and layer.get_output_at(-1) is states[2] is model.output
    with pytest.warns(UserWarning, match=r"get_output_at\(i\)"):
        assert model.get_layer("Transformer-2-FeedForward-Norm") is layer
    with pytest.raises(ValueError, match="no call number 3"):
        layer.get_output_at(3)


def test_two_models_in_one():
    first, second = (build_transformer_model(SMALL, return_keras_model=False) for _ in range(2))
    with pytest.raises(ValueError, match="prefix='B-'"):
        keras.models.Model(first.inputs + second.inputs, keras.layers.Add()([first.output, second.output]))
    inputs = [keras.Input((None,)), keras.Input((None,))]
    both = keras.models.Model(inputs, keras.layers.Concatenate()([first(inputs), second(inputs)]))
    assert both.predict(X, verbose=0).shape == (2, 5, 32)


def test_sequential_around_a_model(tmp_path):
    model = keras.models.Sequential([build_transformer_model(SMALL), keras.layers.GlobalAveragePooling1D()])
    model.add(keras.layers.Dense(2, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(X, Y, verbose=0)
    want = model.predict(X, verbose=0)
    model.save_weights(tmp_path / "best_model.weights")
    model.set_weights([weight * 0 for weight in model.get_weights()])
    model.load_weights(tmp_path / "best_model.weights")
    np.testing.assert_allclose(model.predict(X, verbose=0), want, atol=1e-6)
    for name in ("m.h5", "m.keras", "model"):
        model.save(tmp_path / name)
        other = keras.models.load_model(tmp_path / name)
        np.testing.assert_allclose(other.predict(X, verbose=0), want, atol=1e-6)


def test_arguments_of_keras_2():
    model = classifier()
    model.compile("adam", "sparse_categorical_crossentropy", sample_weight_mode=None)
    assert keras.utils.multi_gpu_model(model, gpus=1) is model
    with pytest.raises(ValueError, match="this machine has"):
        keras.utils.multi_gpu_model(model, gpus=99)


# -- files -----------------------------------------------------------------------------------------------------------

NAMES = ["best_model.weights", "best.h5", "best.hdf5", "best", "best.weights.h5", "best.keras"]


@pytest.mark.parametrize("weights", [True, False])
def test_model_checkpoint_with_names_of_all_kinds(weights, tmp_path):
    model = classifier()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    names = [name for name in NAMES if name != ("best.keras" if weights else "best.weights.h5")]
    made = [
        keras.callbacks.ModelCheckpoint(str(tmp_path / name), "acc", save_best_only=True, save_weights_only=weights)
        for name in names
    ]
    every_other = keras.callbacks.ModelCheckpoint(str(tmp_path / "e{epoch}.weights"), save_weights_only=True, period=2)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[*made, every_other])
    assert not (tmp_path / "e1.weights").exists() and (tmp_path / "e2.weights").exists()
    for name in names:
        if weights:
            classifier().load_weights(tmp_path / name)
        else:
            other = keras.models.load_model(tmp_path / name)
            assert type(other.optimizer).__name__ == "Adam" and other.optimizer.built
            other.fit(X, Y, verbose=0)


class Reported(Loss):
    """Reports a score of its own."""

    def compute_loss(self, inputs, mask=None):
        labels, scores = inputs
        self.add_metric(K.mean(scores[:, 0]), name="f1")
        self.add_metric(K.mean(scores[:, 0]), name="distance")
        return K.mean(K.sparse_categorical_crossentropy(labels, scores))


def test_what_a_loss_layer_reports_is_monitored(tmp_path):
    inner = classifier()
    labels = keras.Input((1,))
    model = keras.models.Model([*inner.inputs, labels], Reported(1)([labels, inner.output]))
    model.compile("adam")
    watch = [
        keras.callbacks.ModelCheckpoint(str(tmp_path / "best"), "f1", save_best_only=True, save_weights_only=True),
        keras.callbacks.EarlyStopping("distance", patience=3),
        keras.callbacks.ReduceLROnPlateau(monitor="f1", patience=3),
    ]
    model.fit([*X, Y[:, None]], epochs=2, verbose=0, callbacks=watch)
    assert [callback.mode for callback in watch] == ["max", "min", "max"] and (tmp_path / "best").exists()


@pytest.mark.parametrize("name, more", [("val_acc", True), ("f1_score", True), ("loss", False), ("perplexity", False)])
def test_which_scores_are_better_when_they_grow(name, more):
    assert bool(MORE_IS_BETTER.search(name)) is more


def test_a_callback_sets_its_model():
    class Evaluator(keras.callbacks.Callback):
        def __init__(self, model):
            super().__init__()
            self.model = model

    model, other = classifier(), classifier()
    evaluator = Evaluator(other)
    assert evaluator.model is other
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, Y, verbose=0, callbacks=[evaluator])
    assert evaluator.model is model


def test_an_hdf5_file_leaves_the_model_as_it_was(tmp_path):
    """Keras takes the optimizer out of what the model was compiled with."""
    model = classifier()
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "m.h5")
    assert model.get_compile_config()["optimizer"]["class_name"] == "Adam"
    other = keras.models.load_model(tmp_path / "m.h5")
    for mine, theirs in zip(other.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_allclose(K.get_value(mine), K.get_value(theirs))
    assert not keras.models.load_model(tmp_path / "m.h5", compile=False).compiled


def test_copies():
    model = classifier()
    model.compile("adam", "sparse_categorical_crossentropy")
    want = model.predict(X, verbose=0)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), keras.models.clone_model(model)):
        other.set_weights(model.get_weights())
        np.testing.assert_allclose(other.predict(X, verbose=0), want, atol=1e-6)
        other.set_weights([weight * 0 for weight in model.get_weights()])
        np.testing.assert_array_equal(model.predict(X, verbose=0), want)


def test_weights_by_name(tmp_path):
    model, other = classifier(), build_transformer_model(SMALL)
    head = keras.layers.Dense(3, name="other_head")(other.output[:, 0])
    other = keras.models.Model(other.inputs, head)
    model.save_weights(tmp_path / "best_model.weights")
    kept = other.get_layer("other_head").get_weights()[0]
    other.load_weights(tmp_path / "best_model.weights", by_name=True)
    for name in ("Embedding-Token", "Transformer-0-FeedForward"):
        for mine, theirs in zip(other.get_layer(name).weights, model.get_layer(name).weights, strict=True):
            np.testing.assert_array_equal(K.get_value(mine), K.get_value(theirs))
    np.testing.assert_array_equal(other.get_layer("other_head").get_weights()[0], kept)
    wider = keras.models.Model(other.inputs, keras.layers.Dense(3, name="head")(other.layers[-2].output))
    with pytest.raises(ValueError, match=r"layer head: \[16, 2\], \[2\] in the file, \[16, 3\], \[3\] in the model"):
        wider.load_weights(tmp_path / "best_model.weights", by_name=True)
    wider.load_weights(tmp_path / "best_model.weights", by_name=True, skip_mismatch=True)
    with pytest.raises(ValueError, match=r"best_model.weights"):  # not the name of a temporary file
        wider.load_weights(tmp_path / "best_model.weights")
    stranger = keras.models.Model(x := keras.Input((2,)), keras.layers.Dense(1, name="stranger")(x))
    with pytest.raises(ValueError, match="none of which are names of layers of the model"):
        stranger.load_weights(tmp_path / "best_model.weights", by_name=True)
