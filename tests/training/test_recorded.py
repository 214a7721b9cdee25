"""`jit_compile=True` on PyTorch: steps and passes that a GPU records; where there is none, a double plays them."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest

from bert4keras2.backend import keras as own
from bert4keras2.functional import cuda_record
from bert4keras2.functional.call_watch import call_watch
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import Adam, PiecewiseLinear
from bert4keras2.training import graph_runs, lora, recorded
from bert4keras2.training.recorded import MOST, OFTEN

pytestmark = [
    pytest.mark.eager,
    pytest.mark.skipif(keras.backend.backend() != "torch", reason="other backends compile whole steps"),
]
SIZES = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES |= {"intermediate_size": 32, "max_position": 64}


class Double:
    """What `CudaRecord` does, but that a record is the function itself, to which what it was given once is given."""

    def __init__(self, function, tensors):
        self.function, self.inputs, self.pool = function, [tensor.clone() for tensor in tensors], object()
        watch = call_watch()
        with watch:
            self.first = function(*self.inputs)
        self.constants, self.problem = watch.constants, watch.problem

    def make(self, pool=None) -> bool:
        if self.problem is not None:
            raise cuda_record.NotRecordableError(self.problem)
        return True

    def play(self, tensors):
        for kept, tensor in zip(self.inputs, tensors, strict=True):
            kept.copy_(tensor)
        with call_watch(self.constants) as watch:
            found = self.function(*self.inputs)
        assert watch.problem is None
        return [tensor.clone() for tensor in found]


@pytest.fixture(params=["double", "GPU"])
def recorder(request, monkeypatch):
    """What records."""
    import torch

    if request.param == "GPU":
        if not torch.cuda.is_available():
            pytest.skip("PyTorch sees no GPU")
        return
    monkeypatch.setattr(recorded, "CudaRecord", Double)
    monkeypatch.setattr(graph_runs, "is_on_gpu", lambda model: True)


def classifier(jit_compile: bool, dropout: float = 0.1, optimizer=None):
    """Return a compiled classifier, the same each time."""
    keras.utils.set_random_seed(1)
    model = build_transformer_model(**SIZES, dropout_rate=dropout, attention_dropout_rate=dropout)
    output = own.layers.Dense(3, activation="softmax")(model.output[:, 0])
    model = own.models.Model(model.inputs, output)
    # Without epsilon `Adam` makes its step by operations, with one by a kernel that on a CPU reads the rate.
    rate = PiecewiseLinear(1e-2, {2: 1.0, 20: 0.1})
    optimizer = optimizer or Adam(rate, epsilon=0, weight_decay_rate=0.01, exclude_from_weight_decay=["bias"])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=jit_compile)
    return model


def rows(count: int, length: int):
    random = np.random.RandomState(count * 100 + length)
    ids = random.randint(1, 50, (count, length)).astype("int32")
    ids[0, length // 2 :] = 0
    return [ids, np.zeros_like(ids)], random.randint(0, 3, count)


@pytest.mark.parametrize("optimizer", [None, lambda: keras.optimizers.AdamW(1e-2, clipnorm=1.0)])
def test_steps_and_answers_equal_those_of_plain_calls(recorder, optimizer):
    """Dropout's numbers, a schedule, metrics, batches of two shapes in turns, sample weights, validation."""
    found = []
    for jit_compile in (False, True):
        model = classifier(jit_compile, optimizer=optimizer and optimizer())
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            losses = [model.train_on_batch(*rows(count, 10)) for _ in range(OFTEN + 2) for count in (4, 3)]
            x, y = rows(8, 7)
            weights = np.linspace(0, 1, 8)
            fitted = model.fit(
                x, y, batch_size=4, epochs=3, sample_weight=weights, validation_data=(x, y), shuffle=False, verbose=0
            )
            outputs = [model.predict(x, verbose=0) for _ in range(OFTEN + 2)]
        if jit_compile:
            kinds = [kind for kind, *_ in model._records[0]._made]
            assert kinds.count("step") == 3 and kinds.count("pass") == 2 and not model._records[0].problems
        found.append((losses, list(fitted.history.values()), outputs, model.get_weights()))
    for plain, played in zip(*map(keras.tree.flatten, found), strict=True):
        np.testing.assert_array_equal(plain, played)


def test_an_output_stays_when_the_next_is_played(recorder):
    model = classifier(True)
    x, other = rows(4, 10)[0], [ids[::-1].copy() for ids in rows(4, 10)[0]]
    for _ in range(OFTEN):
        model.predict_on_batch(x)
    first = model.predict_on_batch(x)
    kept = first.copy()
    model.predict_on_batch(other)
    np.testing.assert_array_equal(first, kept)


def test_what_changes_a_model_drops_its_records(recorder):
    """Parts that come, weights that no longer learn, another optimizer: the next step is a plain one again."""
    model = classifier(True)
    x, y = rows(4, 10)

    def record():
        for _ in range(OFTEN + 1):
            model.train_on_batch(x, y)
        assert len(model._records[0]._made) == 1

    for _ in range(OFTEN):
        model.predict_on_batch(x)
    assert len(model._records[0]._made) == 1
    lora(model, rank=2)
    model.predict_on_batch(x)
    assert not model._records[0]._made
    record()
    model.layers[-1].trainable = False
    model.train_on_batch(x, y)
    assert not model._records[0]._made
    record()
    before = model._records[0]
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=True)
    assert model._records[0] is not before
    record()
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert model._records[0] is None


def test_no_more_than_so_many_shapes_are_recorded(recorder):
    model = classifier(True)
    for length in range(5, 5 + MOST + 2):
        for _ in range(OFTEN + 1):
            model.train_on_batch(*rows(2, length))
    assert len(model._records[0]._made) == MOST


def test_where_memory_is_short_steps_run_as_ever(recorder, monkeypatch):
    model, plain = classifier(True), classifier(False)
    monkeypatch.setattr(recorded.CudaRecord, "make", lambda self, pool=None: False)
    losses = []
    for each in (model, plain):
        keras.utils.set_random_seed(2)
        losses.append([each.train_on_batch(*rows(2, 9)) for _ in range(OFTEN + 2)])
    assert losses[0] == losses[1] and not model._records[0]._made


class Reading(own.layers.Layer):
    """A layer that decides by a number of a tensor."""

    def call(self, x):
        return x * 2 if float(keras.ops.sum(x)) > -1e9 else x


def test_what_reads_a_result_runs_as_ever_and_is_told(recorder):
    inputs = own.layers.Input((4,))
    model = own.models.Model(inputs, Reading()(own.layers.Dense(1)(inputs)))
    model.compile(keras.optimizers.SGD(1e-3), "mse", jit_compile=True)
    x, y = np.random.RandomState(0).normal(2, 1, (8, 4)).astype("float32"), np.ones((8, 1), "float32")
    losses = [model.train_on_batch(x, y) for _ in range(OFTEN - 1)]
    with pytest.warns(UserWarning, match=r"A step of .* is not recorded.*reads a tensor \(float\)"):
        losses.append(model.train_on_batch(x, y))
    losses.append(model.train_on_batch(x, y))
    assert not model._records[0]._made
    assert losses == sorted(losses, reverse=True) and losses[0] > losses[-1]
    assert classifier(True).train_on_batch(*rows(4, 10)), "the next model trains"


def test_moving_means_and_added_losses_are_of_a_record(recorder):
    found = []
    for jit_compile in (False, True):
        keras.utils.set_random_seed(1)
        inputs = own.layers.Input((4,))
        hidden = own.layers.Dense(3, activity_regularizer="l2")(own.layers.BatchNormalization()(inputs))
        model = own.models.Model(inputs, hidden)
        model.compile(keras.optimizers.AdamW(1e-2), "mse", jit_compile=jit_compile)
        x, y = np.random.RandomState(0).normal(2, 1, (8, 4)).astype("float32"), np.ones((8, 3), "float32")
        losses = [model.train_on_batch(x, y) for _ in range(OFTEN + 3)]
        assert not jit_compile or len(model._records[0]._made) == 1
        found.append([losses, *model.get_weights()])
    for plain, played in zip(*found, strict=True):
        np.testing.assert_allclose(plain, played, rtol=1e-6)


# -- what is seen of a call ----------------------------------------------------------------------------------------


def test_numbers_are_given_again_as_copies():
    import torch

    def work(x, number=2):
        table = torch.as_tensor(np.arange(3), dtype=torch.float32, device=x.device)
        table += 1
        return keras.ops.full_like(x, table[1]) + torch.tensor(number, device=x.device) + x

    x = keras.ops.ones(2)
    with call_watch() as noted:
        first = work(x)
    assert len(noted.constants) == 2 and noted.problem is None
    for _ in range(2):
        with call_watch(noted.constants):
            torch.testing.assert_close(work(x), first)
    with call_watch(noted.constants), pytest.raises(ValueError, match=r"differs from call to call \(3\)"):
        work(x, 3)


@pytest.mark.parametrize("read", ["item", "tolist", "cpu", "__bool__", "__float__", "nonzero", "__array__"])
def test_reading_is_seen(read):
    import torch

    with call_watch() as watch:
        getattr(torch.ones(1), read)()
    assert read.strip("_") in watch.problem


def test_a_factor_is_read():
    """As Keras' SGD has it with its learning rate."""
    import torch

    with call_watch() as watch:
        torch.add(torch.ones(1), torch.ones(1), alpha=torch.tensor(2))
    assert "reads a tensor (add)" in watch.problem


def test_what_breaks_off_leaves_no_memory_to_share(recorder, monkeypatch):
    """A record of a pass after one of a step that broke off is made in memory of its own."""
    model, pools = classifier(True), []
    make = recorded.CudaRecord.make
    monkeypatch.setattr(recorded.CudaRecord, "make", lambda self, pool=None: pools.append(pool) or make(self, pool))

    def predict(length):
        for _ in range(OFTEN):
            model.predict_on_batch(rows(2, length)[0])

    def broken(self, pool=None):
        pools.append(pool)
        raise cuda_record.NotRecordableError("no")

    predict(5)
    predict(6)
    with monkeypatch.context() as breaking, pytest.warns(UserWarning, match="not recorded"):
        breaking.setattr(recorded.CudaRecord, "make", broken)
        for _ in range(OFTEN):
            model.train_on_batch(*rows(2, 5))
    predict(7)
    assert [pool is None for pool in pools] == [True, False, False, True]
    assert len(model._records[0]._made) == 3
