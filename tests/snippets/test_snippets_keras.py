"""Training, evaluating and predicting with DataGenerator on the backend in use, whatever the lengths of the batches."""

import os
import warnings

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from bert4keras2.snippets import DataGenerator, sequence_padding  # noqa: E402

pytestmark = pytest.mark.backend

LENGTHS = {
    "equal, then longer": [5, 5, 9, 7, 3],
    "equal, then shorter": [9, 9, 4],
    "growing": [2, 4, 6, 8],
    "all equal": [6, 6, 6],
    "many equal": [6] * 12 + [11],
    "single": [7],
}
BATCH = 4


class Classic(DataGenerator):
    def __iter__(self, random=False):
        tokens, segments, labels = [], [], []
        for is_end, (ids, label) in self.sample(random):
            tokens.append(ids)
            segments.append([0] * len(ids))
            labels.append([label])
            if len(tokens) == self.batch_size or is_end:
                tokens, segments, labels = map(sequence_padding, (tokens, segments, labels))
                yield [tokens, segments], labels
                tokens, segments, labels = [], [], []


class Unlabelled(DataGenerator):
    """Targets are inputs too, and the loss is a layer."""

    def __iter__(self, random=False):
        for (tokens, segments), labels in Classic(self.data, self.batch_size).__iter__(random):
            yield [tokens, segments, labels], None


class MaskedMean(keras.layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.supports_masking = True

    def compute_mask(self, inputs, mask=None):
        return None

    def call(self, inputs, mask=None):
        weights = keras.ops.cast(mask, inputs.dtype)[..., None]
        return keras.ops.sum(inputs * weights, 1) / keras.ops.maximum(keras.ops.sum(weights, 1), 1)


class CrossEntropy(keras.layers.Layer):
    def call(self, labels, logits):
        losses = keras.ops.sparse_categorical_crossentropy(labels[:, 0], logits, from_logits=True)
        self.add_loss(keras.ops.mean(losses))
        return logits


def samples(lengths, rest=0, seed=0):
    """Make a batch of BATCH samples of each length, and `rest` samples more; the first id tells the label."""
    random = np.random.RandomState(seed)
    sizes = [n for n in lengths for _ in range(BATCH)] + [lengths[0]] * rest
    data = [random.randint(1, 20, n).tolist() for n in sizes]
    for ids in data:
        ids[:] = [1 + (ids[0] % 2) * 10 + i % 10 for i in ids]
    return [(ids, int(ids[0] > 10)) for ids in data]


def build(loss_layer=False):
    keras.utils.set_random_seed(0)
    tokens = keras.Input((None,), dtype="int32", name="Input-Token")
    segments = keras.Input((None,), dtype="int32", name="Input-Segment")
    x = MaskedMean()(keras.layers.Embedding(21, 8, mask_zero=True)(tokens))
    s = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(2, 8)(segments))
    logits = keras.layers.Dense(2)(keras.layers.Add()([x, s]))
    if loss_layer:
        labels = keras.Input((1,), dtype="int32", name="labels")
        model = keras.Model([tokens, segments, labels], CrossEntropy()(labels, logits))
        model.compile(optimizer=keras.optimizers.Adam(0.05))
    else:
        model = keras.Model([tokens, segments], logits)
        model.compile(
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            optimizer=keras.optimizers.Adam(0.05),
            metrics=["accuracy"],
        )
    return model


@pytest.fixture(autouse=True)
def _no_warnings():
    """A generator that runs out of data, and inputs of another structure than the model's, only warn."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*ran out of data.*")
        warnings.filterwarnings("error", message=".*structure of .inputs.*")
        yield


@pytest.mark.parametrize("rest", [0, 3])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_fit_evaluate_predict(lengths, rest):
    data = samples(lengths, rest)
    generator = Classic(data, BATCH)
    model = build()
    history = model.fit(generator.forfit(random=False), steps_per_epoch=len(generator), epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2 and np.all(np.isfinite(history.history["loss"]))

    predicted = model.predict(generator.fortest(), steps=len(generator), verbose=0)
    assert predicted.shape == (len(data), 2)
    by_hand = np.concatenate([keras.ops.convert_to_numpy(model(batch)) for batch in generator.fortest()])
    np.testing.assert_allclose(predicted, by_hand, atol=1e-5)

    loss, accuracy = model.evaluate(generator.forfit(random=False), steps=len(generator), verbose=0)
    labels = np.array([label for _, label in data])
    # Exactly the data, once: neither a batch lost to building the model nor one read twice.
    assert accuracy == pytest.approx(np.mean(by_hand.argmax(-1) == labels), abs=1e-6)
    log_probabilities = by_hand - np.log(np.exp(by_hand).sum(-1, keepdims=True))
    assert loss == pytest.approx(-log_probabilities[np.arange(len(labels)), labels].mean(), abs=1e-5)


@pytest.mark.parametrize("lengths", [LENGTHS["equal, then longer"], LENGTHS["many equal"]])
def test_evaluating_an_untouched_model_loses_no_batch(lengths):
    data = samples(lengths, 1)
    generator = Classic(data, BATCH)
    model = build()
    _, accuracy = model.evaluate(generator.forfit(random=False), steps=len(generator), verbose=0)
    predicted = model.predict(generator.fortest(), steps=len(generator), verbose=0)
    assert accuracy == pytest.approx(np.mean(predicted.argmax(-1) == [label for _, label in data]), abs=1e-6)


def test_an_iterator_read_once_loses_no_batch():
    data = samples([5, 5, 8, 3])
    model = build()
    _, accuracy = model.evaluate(Classic(iter(data), BATCH).forfit(random=False), steps=4, verbose=0)
    predicted = model.predict(Classic(iter(data), BATCH).fortest(), steps=4, verbose=0)
    assert predicted.shape == (16, 2)
    assert accuracy == pytest.approx(np.mean(predicted.argmax(-1) == [label for _, label in data]), abs=1e-6)


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_loss_layer(lengths):
    data = samples(lengths, 1)
    generator = Unlabelled(data, BATCH)
    model = build(loss_layer=True)
    history = model.fit(generator.forfit(), steps_per_epoch=len(generator), epochs=2, verbose=0)
    assert np.all(np.isfinite(history.history["loss"]))
    assert model.predict(generator.fortest(), steps=len(generator), verbose=0).shape == (len(data), 2)
    assert np.isfinite(model.evaluate(generator.forfit(False), steps=len(generator), verbose=0))


def test_it_learns():
    data = samples([5, 5, 9, 7, 3, 12], 2)
    generator = Classic(data, BATCH)
    model = build()
    valid = Classic(samples([4, 4, 8], 2, seed=1), BATCH)
    history = model.fit(
        generator.forfit(),
        steps_per_epoch=len(generator),
        epochs=15,
        validation_data=valid.forfit(random=False),
        validation_steps=len(valid),
        verbose=0,
    )
    assert history.history["accuracy"][-1] == 1
    # Each validation saw the whole set, from its beginning.
    _, accuracy = model.evaluate(valid.forfit(random=False), steps=len(valid), verbose=0)
    assert history.history["val_accuracy"][-1] == pytest.approx(accuracy, abs=1e-6)


def test_same_seed_same_losses():
    def losses():
        generator = Classic(samples([5, 5, 9, 7, 3]), BATCH)
        model = build()
        np.random.seed(4)
        return model.fit(generator.forfit(), steps_per_epoch=5, epochs=2, verbose=0).history["loss"]

    assert losses() == losses()


def test_a_stream_used_by_hand_and_then_by_fit():
    generator = Classic(samples([5, 5, 9, 7]), BATCH)
    model = build()
    stream = generator.forfit(random=False)
    inputs, labels = next(stream)
    assert isinstance(inputs, list) and model.train_on_batch(inputs, labels)
    assert model.fit(stream, steps_per_epoch=4, epochs=2, verbose=0)
    assert model.fit(stream, steps_per_epoch=1, verbose=0)


def test_dtypes():
    class Mixed(Classic):
        def __iter__(self, random=False):
            kinds = ["int64", "int32", "float32", "float64"]
            for i, ((tokens, segments), labels) in enumerate(super().__iter__(random)):
                yield [tokens.astype(kinds[i % 4]), segments.astype(kinds[(i + 1) % 4])], labels.tolist()

    class Columns(Mixed):
        def __iter__(self, random=False):
            for inputs, labels in super().__iter__(random):
                yield {"Input-Token": inputs[0], "Input-Segment": inputs[1]}, np.array(labels)

    data = samples([5, 5, 9, 7])
    expected = build().predict(Classic(data, BATCH).fortest(), verbose=0, steps=4)
    for cls in (Mixed, Columns):
        model = build()
        np.testing.assert_allclose(model.predict(cls(data, BATCH).fortest(), steps=4, verbose=0), expected, atol=1e-6)
    model.fit(Columns(data, BATCH).forfit(), steps_per_epoch=4, verbose=0)


def test_sample_weights_and_fixed_features():
    class Weighted(DataGenerator):
        def collate(self, batch):
            return np.ones((len(batch), 6), "float32"), np.ones((len(batch), 1)), np.array(batch, "float32")

    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(loss="mse", optimizer="sgd")
    assert model.evaluate(Weighted([0, 0, 0], 2).forfit(False), steps=2, verbose=0) == 0
    assert model.evaluate(Weighted([1, 1, 1], 2).forfit(False), steps=2, verbose=0) == pytest.approx(1)


def test_no_batches():
    with pytest.raises((ValueError, RuntimeError), match="has no samples"):
        build().fit(Classic([], BATCH).forfit(), steps_per_epoch=1, verbose=0)


# -- TensorFlow only -------------------------------------------------------------------------------------------

tensorflow_only = pytest.mark.skipif(
    os.environ.get("KERAS_BACKEND", keras.backend.backend()) != "tensorflow", reason="about tf.data"
)


@tensorflow_only
def test_no_trace_for_another_length():
    import tensorflow as tf

    traces = []

    class Traced(keras.layers.Layer):
        def call(self, inputs):
            if not isinstance(inputs, keras.KerasTensor):
                traces.append(inputs.shape)
            return inputs

    tokens = keras.Input((None,), dtype="int32")
    x = Traced()(keras.layers.Embedding(21, 4)(tokens))
    model = keras.Model(tokens, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling1D()(x)))
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), optimizer="sgd", jit_compile=False)

    class Tokens(DataGenerator):
        def collate(self, batch):
            return sequence_padding([ids for ids, _ in batch]), np.array([[label] for _, label in batch])

    generator = Tokens(samples(list(range(2, 52)), 1), BATCH)
    model.fit(generator.forfit(), steps_per_epoch=1, verbose=0)
    assert [shape.as_list() for shape in traces[:1]] == [[None, None, 4]]
    traces.clear()
    model.fit(generator.forfit(), steps_per_epoch=len(generator), epochs=2, verbose=0)
    assert not traces
    specification = generator.forfit().get_tf_dataset().element_spec
    assert specification == (tf.TensorSpec((None, None), tf.int64), tf.TensorSpec((None, 1), tf.int64))


@tensorflow_only
def test_sizes_of_one():
    class Spans(DataGenerator):
        def collate(self, batch):
            return [np.zeros((2, 5)), np.zeros((2, 1, max(batch), 2), "int32")], None

    import tensorflow as tf

    # One span in the first batch, several in a later one that is still looked at.
    dataset = Spans([1, 1, 1, 1, 3, 3], 2).forfit(False).get_tf_dataset()
    assert [tuple(spec.shape) for spec in tf.nest.flatten(dataset.element_spec)] == [
        (None, None),
        (None, 1, None, None),
    ]
    late = Spans([1] * 40 + [3, 3], 2)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Array 1 of batch 21 has shape .*Set output_shapes"):
        for _ in late.forfit(False).get_tf_dataset():
            pass
    late.output_shapes = [(None, None), (None, None, None, 2)]
    for number, _ in enumerate(late.forfit(False).get_tf_dataset(), 1):
        if number == 21:
            break
    late.output_shapes = [(None, None)]
    with pytest.raises(ValueError, match="output_shapes has 1 shapes, but a batch has 2 arrays"):
        late.forfit(False).get_tf_dataset()


@tensorflow_only
def test_batches_that_change_their_kind():
    import tensorflow as tf

    def consume(*batches):
        class Fixed(DataGenerator):
            def __iter__(self, random=False):
                return iter(batches)

        for number, _ in enumerate(Fixed([1]).forfit(False).get_tf_dataset(), 1):
            if number == len(batches):
                break

    ones = np.ones((2, 3), "int64")
    consume((ones, ones), (ones * 1.0, ones))
    with pytest.raises(tf.errors.InvalidArgumentError, match="Array 1 of batch 2 is float32, but the first"):
        consume((ones, ones), (ones, ones * 0.5))
    with pytest.raises(tf.errors.InvalidArgumentError, match="Batch 2 has 1 arrays, the first had 2"):
        consume((ones, ones), (ones,))
    with pytest.raises(ValueError, match="sample weights but no targets"):
        consume((ones, None, ones))


def test_double_precision_becomes_the_models_own():
    class Doubles(DataGenerator):
        def __iter__(self, random=False):
            for _, _d in self.sample(random):
                yield np.ones((2, 3)), np.zeros((2, 1))

    def product(y_true, y_pred):  # TensorFlow multiplies no float64 with float32
        return keras.ops.mean(y_true * y_pred)

    from bert4keras2.backend import Model

    model = Model(x := keras.Input((3,)), keras.layers.Dense(1)(x))
    model.compile("sgd", "mse", metrics=[product])
    history = model.fit(Doubles([1, 2]).forfit(), steps_per_epoch=2, epochs=1, verbose=0)
    assert history.history["product"] == [0.0]


@tensorflow_only
def test_to_dataset():
    class Single(DataGenerator):
        def __iter__(self, random=False):
            for _, d in self.sample():
                yield [np.array(d), np.array(d) * 2], np.array([sum(d)])

    class Nested(Single):
        def __iter__(self, random=False):
            for inputs, targets in super().__iter__(random):
                yield inputs, [targets]

    generator = Single([[1, 2], [3], [4, 5, 6]], 2)
    types, shapes = (("int32", "int32"), "float32"), (([None], [None]), [1])
    (first, second), targets = next(iter(generator.to_dataset(types, shapes, padded_batch=True)))
    assert first.numpy().tolist() == [[1, 2], [3, 0]] and second.numpy().tolist() == [[2, 4], [6, 0]]
    assert targets.numpy().tolist() == [[3], [3]] and targets.dtype == "float32"

    batch = next(iter(generator.to_dataset(types, shapes, names=["x", "y"], padded_batch=True)))
    assert set(batch) == {"x", "y"} and batch["x"][1].shape == (2, 2)
    nested = Nested(generator.data, 2)
    types, shapes = (types[0], ("float32",)), (shapes[0], ([1],))
    inputs, targets = next(iter(nested.to_dataset(types, shapes, names=(("a", "b"), ("c",)), padded_batch=True)))
    assert inputs["b"].numpy().tolist() == [[2, 4], [6, 0]] and targets["c"].shape == (2, 1)

    class Fixed(DataGenerator):
        def __iter__(self, random=False):
            for _, d in self.sample():
                yield np.array(d)

    dataset = iter(Fixed([[1], [2], [3]], 2).to_dataset("int64", [1], names="ids"))
    batches = [next(dataset)["ids"].numpy().ravel().tolist() for _ in range(3)]
    assert batches == [[1, 2], [3, 1], [2, 3]]  # endless, as forfit is


def test_to_dataset_without_tensorflow(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorflow", None)
    with pytest.raises(ImportError, match="pip install tensorflow, or use forfit"):
        DataGenerator([1]).to_dataset("int32", [1])
