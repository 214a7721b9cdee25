"""Training as scripts do it: repeatable, few traces, no surprise compilation, weights kept by callbacks."""

from __future__ import annotations

import random

import keras as real_keras
import numpy as np
import pytest
from cases import BASE, batch, build, run
from keras import ops

from bert4keras2.backend import Model, keras, set_seed
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import Adam
from bert4keras2.snippets import DataGenerator, sequence_padding
from bert4keras2.training.model import TrainingMethods

pytestmark = [pytest.mark.backend, pytest.mark.filterwarnings("ignore:.*shuffle=True.*")]
BACKEND = real_keras.backend.backend()
TF = BACKEND == "tensorflow"


def classifier(**kwargs):
    bert = build_transformer_model(**{**BASE, **kwargs}, return_keras_model=False)
    x = keras.layers.Lambda(lambda x: x[:, 0], output_shape=lambda s: (s[0], s[2]))(bert.model.output)
    x = keras.layers.Dense(2, activation="softmax", kernel_initializer=bert.initializer)(x)
    return Model(bert.model.input, x)


def samples(count=12, length=7, seed=0):
    random = np.random.RandomState(seed)
    tokens = random.randint(1, 40, (count, length)).astype("int32")
    return [tokens, np.zeros_like(tokens)], tokens[:, 1] % 2


@pytest.fixture
def leave_determinism():
    """set_seed asks the backend for deterministic kernels; leave other tests as they were."""
    yield
    if TF:
        import tensorflow as tf
        from tensorflow.python.framework import config

        config.disable_op_determinism()
        tf.random.set_seed(0)
    elif BACKEND == "torch":
        import torch

        torch.use_deterministic_algorithms(False)
        torch.utils.deterministic.fill_uninitialized_memory = True


def test_set_seed_repeats_a_run(leave_determinism):
    def losses(seed):
        set_seed(seed)
        model = classifier(num_hidden_layers=1, dropout_rate=0.2, attention_dropout_rate=0.2)
        model.compile(Adam(1e-3), "sparse_categorical_crossentropy")
        x, y = samples()
        return model.fit(x, y, epochs=2, batch_size=4, verbose=0).history["loss"]

    first = losses(7)
    assert losses(7) == first and len(set(first)) == 2
    if BACKEND == "torch":
        import torch

        assert not torch.utils.deterministic.fill_uninitialized_memory, "each new tensor would be filled first"


def test_set_seed_is_keras_own(leave_determinism):
    """What is drawn is what keras.utils.set_random_seed leads to, which imports TensorFlow on every backend."""

    def drawn():
        layer = real_keras.layers.Dense(3)
        layer.build((None, 2))
        tensors = [layer.kernel, real_keras.random.uniform((3,))]
        return [random.random(), np.random.rand(), *(real_keras.ops.convert_to_numpy(x).tolist() for x in tensors)]

    set_seed(5)
    mine = drawn()
    real_keras.utils.set_random_seed(5)
    assert drawn() == mine
    set_seed(6)
    assert drawn() != mine


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, True, "7"])
def test_set_seed_refuses(seed):
    with pytest.raises(ValueError, match="integer from 0 to"):
        set_seed(seed)


def test_batches_report_their_own_losses():
    """Not the means over the batches so far, which are what Keras before 3.15 returns."""
    model = classifier(num_hidden_layers=1)
    model.compile(Adam(0.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
    batches = [samples(seed=seed) for seed in range(3)]
    expected = [model.evaluate(x, y, batch_size=12, verbose=0) for x, y in batches]
    for method in (model.train_on_batch, model.test_on_batch):
        np.testing.assert_allclose([method(x, y) for x, y in batches], expected, rtol=1e-5)


def test_dropout_is_off_at_inference():
    bert = build("bert-encoder", dropout_rate=0.5, attention_dropout_rate=0.5)
    arrays = batch(bert)
    np.testing.assert_array_equal(run(bert.model, arrays)[0], run(bert.model, arrays)[0])
    tensors = [ops.convert_to_tensor(a) for a in arrays.values()]
    noisy = [ops.convert_to_numpy(bert.model(tensors, training=True)) for _ in range(2)]
    assert np.abs(noisy[0] - noisy[1]).max() > 1e-2


TRACES = []


class Counting(real_keras.layers.Layer):
    """Notes each time that its Python code runs: once per trace in a compiled step."""

    def call(self, x):
        TRACES.append(x.shape)
        return x


@pytest.mark.skipif(not TF, reason="counts the traces of tf.function")
@pytest.mark.parametrize("source", ["generator", "DataGenerator", "train_on_batch"])
def test_few_traces_for_many_lengths(source):
    """Fifty different lengths, not bucketed, take a handful of traces (the reference and Keras took one per length)."""
    ids = real_keras.Input((None,), dtype="int32")
    x = Counting()(real_keras.layers.Embedding(40, 4)(ids))
    model = Model(ids, real_keras.layers.Dense(2, activation="softmax")(real_keras.layers.GlobalAveragePooling1D()(x)))
    model.compile("sgd", "sparse_categorical_crossentropy")
    lengths = np.random.RandomState(0).permutation(np.arange(10, 129))[:50]
    TRACES.clear()
    if source == "generator":
        batches = ((np.ones((4, n), "int32"), np.zeros((4, 1), "int32")) for n in lengths)
        model.fit(batches, steps_per_epoch=50, verbose=0)
    elif source == "train_on_batch":
        for n in lengths:
            model.train_on_batch(np.ones((4, n), "int32"), np.zeros((4, 1), "int32"))
    else:

        class Batches(DataGenerator):
            def collate(self, batch):
                return sequence_padding(batch), np.zeros((len(batch), 1), "int32")

        data = Batches([[1] * n for n in lengths for _ in range(4)], batch_size=4)
        model.fit(data.forfit(random=False), steps_per_epoch=len(data), verbose=0)
    assert 1 <= len(TRACES) <= 9, TRACES
    TRACES.clear()
    for n in lengths[:20]:
        model.predict(np.ones((4, n), "int32"), verbose=0)
    assert len(TRACES) <= 9, TRACES


@pytest.mark.parametrize("lengths", [[5, 5, 9, 3], [9, 9, 4], [6, 6]])
def test_plain_generators_of_any_lengths(lengths):
    """Equal lengths in the first batches do not fix the length."""

    def batches():
        for n in lengths:
            yield [np.ones((2, n), "int32"), np.zeros((2, n), "int32")], np.zeros((2, 1), "int32")

    def inputs():
        for n in lengths:
            yield ([np.ones((2, n), "int32"), np.zeros((2, n), "int32")],)

    model = classifier(num_hidden_layers=1)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(batches(), steps_per_epoch=len(lengths), verbose=0)
    model.evaluate(batches(), steps=len(lengths), verbose=0)
    assert model.predict(inputs(), steps=len(lengths), verbose=0).shape == (2 * len(lengths), 2)


@pytest.mark.skipif(not TF, reason="JAX always compiles, torch never does")
def test_when_xla_is_used(monkeypatch):
    """As on a machine with an accelerator, where Keras would choose XLA for all models."""
    monkeypatch.setattr(real_keras.Model, "_resolve_auto_jit_compile", lambda self: True)
    model = classifier(num_hidden_layers=1)
    model.predict(samples()[0], verbose=0)
    assert model.jit_compile is False, "lengths vary, and nobody compiled the model"
    model.compile("sgd", "mse")
    assert model.jit_compile is False, "lengths vary"
    model.compile("sgd", "mse", jit_compile=True)
    assert model.jit_compile is True
    fixed = classifier(num_hidden_layers=1, sequence_length=7)
    fixed.compile("sgd", "sparse_categorical_crossentropy")
    assert fixed.jit_compile is True, "all shapes are fixed"
    fixed.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    assert fixed.jit_compile is False


@pytest.mark.skipif(not TF, reason="XLA on TensorFlow")
def test_xla_gives_the_same_numbers():
    model = classifier(num_hidden_layers=1, sequence_length=7)
    x, _ = samples()
    plain = model.predict(x, verbose=0)
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=True)
    np.testing.assert_allclose(model.predict(x, verbose=0), plain, atol=1e-6)


def test_silent(capfd):
    model = classifier(num_hidden_layers=1)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = samples()
    model.fit(x, y, verbose=0, validation_data=(x, y))
    model.evaluate(x, y, verbose=0)
    model.predict(x, verbose=0)
    out = capfd.readouterr()
    assert "step" not in out.out and "loss" not in out.out and "step" not in out.err
    model.fit(x, y, verbose=2)
    assert "loss" in capfd.readouterr().out


class Evaluator(keras.callbacks.Callback):
    """Keeps the weights of the best epoch, as the scripts do."""

    def __init__(self, path, x, y):
        super().__init__()
        self.path, self.x, self.y, self.best, self.scores = path, x, y, -1.0, []

    def on_epoch_end(self, epoch, logs=None):
        score = float((self.model.predict(self.x, verbose=0).argmax(-1) == self.y).mean())
        self.scores.append(score)
        if score > self.best:
            self.best = score
            self.model.save_weights(self.path)


def test_best_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    real_keras.utils.set_random_seed(0)
    model = classifier(num_hidden_layers=1)
    x, y = samples(24)
    model.compile(Adam(1e-2), "sparse_categorical_crossentropy", metrics=["sparse_categorical_accuracy"])
    evaluator = Evaluator("best_model.weights", x, y)
    history = model.fit(x, y, epochs=6, batch_size=8, verbose=0, callbacks=[evaluator]).history
    assert history["loss"][-1] < history["loss"][0]
    assert [path.name for path in tmp_path.iterdir()] == ["best_model.weights"]
    fresh = classifier(num_hidden_layers=1)
    fresh.load_weights("best_model.weights")
    model.load_weights("best_model.weights")
    np.testing.assert_array_equal(fresh.predict(x, verbose=0), model.predict(x, verbose=0))
    assert (fresh.predict(x, verbose=0).argmax(-1) == y).mean() == max(evaluator.scores) > 0.6


def test_keras_callbacks_keep_files_too(tmp_path):
    model = classifier(num_hidden_layers=1)
    x, y = samples()
    model.compile(Adam(1e-2), "sparse_categorical_crossentropy")
    callbacks = [
        real_keras.callbacks.ModelCheckpoint(tmp_path / "a.weights.h5", save_weights_only=True),
        real_keras.callbacks.ModelCheckpoint(tmp_path / "a.keras"),
    ]
    model.fit(x, y, verbose=0, callbacks=callbacks)
    loaded = keras.models.load_model(tmp_path / "a.keras", safe_mode=False)
    np.testing.assert_allclose(loaded.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)


def test_frozen_layers_stay():
    """Layers frozen before compile do not change, with and without weight decay."""
    model = classifier(num_attention_heads=1)
    for layer in model.layers:
        if layer.name.startswith(("Embedding", "Transformer-0")):
            layer.trainable = False
    before = {v.path: ops.convert_to_numpy(v).copy() for v in model.weights}
    model.compile(Adam(1e-2, weight_decay_rate=0.1), "sparse_categorical_crossentropy")
    x, y = samples()
    model.fit(x, y, verbose=0)
    changed = {v.path for v in model.weights if not np.array_equal(before[v.path], ops.convert_to_numpy(v))}
    assert not any(path.startswith(("Embedding", "Transformer-0")) for path in changed)
    assert any(path.startswith("Transformer-1") for path in changed)


@pytest.mark.skipif(BACKEND != "torch", reason="steps of other backends are compiled")
def test_a_step_asks_layers_once(monkeypatch):
    """What learns is looked up once in each step, so that a layer that is frozen between two steps stays."""
    model, asked = classifier(num_attention_heads=1), []
    found = real_keras.Model.trainable_weights.fget
    monkeypatch.setattr(real_keras.Model, "trainable_weights", property(lambda self: asked.append(self) or found(self)))
    model.compile(Adam(1e-2), "sparse_categorical_crossentropy")
    x, y = samples()
    model.train_on_batch(x, y)
    asked.clear()
    model.train_on_batch(x, y)
    assert asked.count(model) == 1
    table = next(layer for layer in model.layers if layer.name.startswith("Embedding-Token"))
    before = ops.convert_to_numpy(table.embeddings).copy()
    table.trainable = False
    model.train_on_batch(x, y)
    np.testing.assert_array_equal(before, ops.convert_to_numpy(table.embeddings))
    table.trainable = True
    model.train_on_batch(x, y)
    assert not np.array_equal(before, ops.convert_to_numpy(table.embeddings))


@pytest.mark.skipif(not TF, reason="TensorFlow alone traces so")
@pytest.mark.parametrize("metrics", [None, ["accuracy"]], ids=["no metrics", "metrics"])
def test_a_step_is_traced_once(monkeypatch, metrics):
    """Variables that are created in the first trace, as Keras lets them be, would cost a second one."""
    model, traces, step = classifier(), [], TrainingMethods.train_step
    monkeypatch.setattr(TrainingMethods, "train_step", lambda self, data: traces.append(self) or step(self, data))
    model.compile(Adam(1e-3), "sparse_categorical_crossentropy", metrics=metrics)
    x, y = samples()
    model.fit(x, y, batch_size=4, verbose=0)
    model.train_on_batch([part[:4] for part in x], y[:4])
    assert len(traces) == 2, "one of fit, and one of train_on_batch, whose batches have known shapes"


def test_metrics_follow_what_a_subclass_returns():
    """On TensorFlow metrics are created before the first step, from the graph, which is not what this model returns."""

    class One(Model):
        def call(self, inputs, training=None, mask=None):
            return 0 * super().call(inputs, training=training, mask=mask)[:, :1] + 0.9

    inner = classifier()
    model = One(inner.inputs, inner.outputs[0])
    model.compile(Adam(1e-3), "binary_crossentropy", metrics=["accuracy"])
    x, y = samples()
    assert model.evaluate(x, np.ones_like(y), verbose=0, return_dict=True)["accuracy"] == 1
