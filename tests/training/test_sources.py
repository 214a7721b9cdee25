"""Batches of every kind train, whatever their lengths: one pass per epoch, nothing lost, nothing ignored in silence."""

from __future__ import annotations

import warnings

import keras as real_keras
import numpy as np
import pytest

from bert4keras2.backend import Model, keras
from bert4keras2.snippets import DataGenerator, batch_stream, sequence_padding

pytestmark = pytest.mark.backend
BACKEND = real_keras.backend.backend()
LENGTHS = [4, 4, 4, 6, 3]  # the first ones are equal, from which Keras would conclude that all are
ROWS = [[1 + (i + k) % 9 for k in range(n)] for i, n in enumerate(n for n in LENGTHS for _ in range(2))]
DATA = [(row, row[0] % 2) for row in ROWS]
BATCHES = [
    (sequence_padding([row for row, _ in DATA[i : i + 2]]), np.array([label for _, label in DATA[i : i + 2]]))
    for i in range(0, 10, 2)
]


@pytest.fixture(scope="module")
def model():
    """A classifier whose weights stay, so that every pass has the same loss."""
    ids = keras.Input((None,), dtype="int32", name="ids")
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(10, 4, mask_zero=True)(ids))
    model = Model(ids, keras.layers.Dense(2, activation="softmax")(x))
    model.compile(real_keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    return model


@pytest.fixture(scope="module")
def predicted(model):
    return np.concatenate([model.predict_on_batch(x) for x, _ in BATCHES])


@pytest.fixture(scope="module")
def expected(predicted):
    return -np.log(predicted[np.arange(len(DATA)), [label for _, label in DATA]]).mean()


class Generator(DataGenerator):
    def collate(self, batch):
        return sequence_padding([row for row, _ in batch]), np.array([label for _, label in batch])


class Lists(DataGenerator):
    """Batches as people write them by hand: rows of different lengths, labels in a list."""

    def collate(self, batch):
        return [row for row, _ in batch], [label for _, label in batch]


class Dataset(keras.utils.PyDataset):
    ends = 0

    def __len__(self):
        return len(BATCHES)

    def __getitem__(self, index):
        return BATCHES[index]

    def on_epoch_end(self):
        self.ends += 1


class Iterable:
    def __iter__(self):
        yield from BATCHES


class Indexed:
    """No iterator, and no PyDataset either."""

    def __len__(self):
        return len(BATCHES)

    def __getitem__(self, index):
        return BATCHES[index]


class Endless:
    """An iterator that never stops and knows how long a pass is."""

    def __init__(self):
        self.at = -1

    def __iter__(self):
        return self

    def __len__(self):
        return len(BATCHES)

    def __next__(self):
        self.at += 1
        return BATCHES[self.at % len(BATCHES)]


def loader():
    torch = pytest.importorskip("torch")

    def batch(rows):
        tensors = [torch.tensor(row) for row, _ in rows]
        return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True), torch.tensor([label for _, label in rows])

    return torch.utils.data.DataLoader(DATA, batch_size=2, collate_fn=batch)


SOURCES = {
    "DataGenerator": lambda: Generator(DATA, 2),
    "forfit": lambda: Generator(DATA, 2).forfit(random=False),
    "ragged lists": lambda: Lists(DATA, 2).forfit(random=False),
    "PyDataset": Dataset,
    "PyDataset of threads": lambda: Dataset(workers=2),
    "DataLoader": loader,
    "iterable": Iterable,
    "indexed": Indexed,
    "endless iterator": Endless,
    "generator": lambda: (batch for batch in BATCHES),
}


class Count(keras.callbacks.Callback):
    """How many batches each epoch had, of training and of validation."""

    def __init__(self):
        super().__init__()
        self.batches, self.validation = [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.append(0)

    def on_train_batch_end(self, batch, logs=None):
        self.batches[-1] += 1

    def on_test_begin(self, logs=None):
        self.validation.append(0)

    def on_test_batch_end(self, batch, logs=None):
        self.validation[-1] += 1


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*ran out of data.*")
        warnings.filterwarnings("error", message=".*more batches.*")
        yield


@pytest.mark.parametrize("name", SOURCES)
def test_one_pass_per_epoch(model, expected, name):
    epochs = 1 if name == "generator" else 3
    count = Count()
    options = {"validation_data": SOURCES[name]()} if name != "generator" else {}
    logs = model.fit(SOURCES[name](), epochs=epochs, shuffle=False, verbose=0, callbacks=[count], **options).history
    assert count.batches == [5] * epochs
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)
    if options:
        assert count.validation == [5] * epochs
        np.testing.assert_allclose(logs["val_loss"], expected, rtol=1e-5)


@pytest.mark.parametrize("name", SOURCES)
def test_evaluate_and_predict(model, expected, predicted, name):
    assert model.evaluate(SOURCES[name](), verbose=0) == pytest.approx(expected, rel=1e-5)
    if name != "ragged lists":
        np.testing.assert_allclose(model.predict(SOURCES[name](), verbose=0), predicted, atol=1e-6)


@pytest.mark.parametrize("name", ["DataGenerator", "PyDataset", "indexed"])
def test_steps_go_on_where_they_were(model, name):
    """Epochs of other sizes than a pass, as scripts ask for them."""
    count = Count()
    model.fit(SOURCES[name](), steps_per_epoch=7, epochs=3, verbose=0, shuffle=False, callbacks=[count])
    assert count.batches == [7, 7, 7]


def test_epochs_of_a_generator_are_shuffled_anew(model):
    seen = []

    class Seen(Generator):
        def collate(self, batch):
            seen.extend(row[0] for row, _ in batch)
            return super().collate(batch)

    model.fit(Seen([([1 + i], 0) for i in range(9)], 3), epochs=3, verbose=0)
    passes = [tuple(seen[i : i + 9]) for i in range(0, 27, 9)]
    assert all(sorted(one) == list(range(1, 10)) for one in passes) and len(set(passes)) > 1


def test_a_model_that_is_built_by_its_first_batch(expected):
    ids = keras.Input((None,), dtype="int32")
    model = Model(ids, keras.layers.Dense(2)(keras.layers.Embedding(10, 4)(ids)[:, 0]))
    for name in ("DataGenerator", "generator"):
        model.compile("sgd", real_keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        count = Count()
        model.fit(SOURCES[name](), epochs=1, verbose=0, callbacks=[count])
        assert count.batches == [5]


def test_data_without_a_length(model, expected):
    """A pass ends where the data does, without a warning that they ran out."""

    class Corpus:
        def __iter__(self):
            return iter(DATA)

    count = Count()
    logs = model.fit(Generator(Corpus(), 2).forfit(False), epochs=2, verbose=0, callbacks=[count]).history
    assert count.batches == [5, 5]
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)


def test_a_pass_longer_than_it_says(model):
    class Twice(Generator):
        def __iter__(self, random=False):
            for batch in super().__iter__(random):
                yield batch
                yield batch

    with (
        pytest.warns(UserWarning, match="more batches than the 5 that len.*steps_per_epoch"),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("default", message=".*more batches.*")
        model.fit(Twice(DATA, 2), verbose=0)


def test_a_callback_that_stops(model):
    stop = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: setattr(model, "stop_training", True))
    for name in ("DataGenerator", "PyDataset"):
        assert len(model.fit(SOURCES[name](), epochs=3, verbose=0, callbacks=[stop]).history["loss"]) == 1


def test_hooks_and_order_of_a_dataset(model):
    dataset, seen = Dataset(), []
    dataset.__class__ = type("Seen", (Dataset,), {"__getitem__": lambda self, i: seen.append(i) or BATCHES[i]})
    model.fit(dataset, epochs=2, shuffle=False, verbose=0)
    assert seen[-10:] == [0, 1, 2, 3, 4] * 2 and dataset.ends >= 2
    model.fit(dataset, epochs=4, verbose=0)
    orders = {tuple(seen[-5 * k : len(seen) - 5 * (k - 1)]) for k in (1, 2, 3, 4)}
    assert len(orders) > 1 and all(sorted(order) == [0, 1, 2, 3, 4] for order in orders)


@pytest.mark.parametrize("argument", ["y", "sample_weight"])
@pytest.mark.parametrize("name", ["DataGenerator", "PyDataset", "generator"])
def test_arguments_do_not_vanish(model, name, argument):
    with pytest.raises(ValueError, match=f"{argument} was given beside a .*, whose batches hold all"):
        model.fit(SOURCES[name](), **{argument: np.zeros(10)}, verbose=0)
    with pytest.warns(UserWarning, match="batch_size=4 says nothing"):
        model.evaluate(SOURCES[name](), batch_size=4, verbose=0)


def test_tensors_are_no_sources(model):
    x, y = BATCHES[0]
    tensor = real_keras.ops.convert_to_tensor(x)
    assert model.evaluate(tensor, real_keras.ops.convert_to_tensor(y), verbose=0) == pytest.approx(
        model.evaluate(x, y, verbose=0)
    )
    assert model.predict(tensor, verbose=0).shape == (2, 2)


def test_errors_are_the_scripts_own(model):
    """Not TensorFlow's, with lines about threads around them."""

    def broken():
        yield BATCHES[0]
        raise KeyError("title")

    for use in (model.fit, model.evaluate, model.predict):
        with pytest.raises(KeyError, match="title"):
            use(broken(), verbose=0)
    with pytest.raises(ValueError, match="got 4 parts"):
        model.fit(batch_stream(lambda: iter([(*BATCHES[0], 1, 2)])), verbose=0)
    with pytest.raises(ValueError, match="validation_data is"):
        model.fit(*BATCHES[0], validation_data=(1, 2, 3, 4), verbose=0)


def test_columns_and_flat_labels(model):
    """In one stream, and from call to call; TensorFlow would forget the number of axes."""
    expected = model.evaluate(*BATCHES[0], verbose=0)
    mixed = [(x, y[:, None] if i % 2 else y) for i, (x, y) in enumerate(BATCHES)]
    assert model.evaluate((batch for batch in mixed), verbose=0) == pytest.approx(model.evaluate(Iterable(), verbose=0))
    for y in (BATCHES[0][1], BATCHES[0][1][:, None], BATCHES[0][1].tolist()):
        assert model.evaluate(BATCHES[0][0], y, verbose=0) == pytest.approx(expected)
        assert model.train_on_batch(BATCHES[0][0], y) == pytest.approx(expected)
        weights = np.ones(2), np.ones((2, 1))
        assert [model.evaluate(BATCHES[0][0], y, sample_weight=w, verbose=0) for w in weights] == pytest.approx(
            [expected] * 2
        )
