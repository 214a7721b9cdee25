"""`Resume`: a `fit` that was interrupted goes on and ends as if it had not been."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from killing import kill_ten_times

from bert4keras2.backend import keras, set_seed
from bert4keras2.callbacks import Resume
from bert4keras2.callbacks.state import StateError
from bert4keras2.optimizers import Adam
from bert4keras2.snippets import DataGenerator

ROWS = np.random.default_rng(0).normal(size=(40, 6)).astype("float32")


class Rows(DataGenerator):
    """Batches of rows and their first column's sign."""

    def __iter__(self, random=False):
        batch = []
        for is_end, row in self.sample(random):
            batch.append(row)
            if is_end or len(batch) == self.batch_size:
                yield np.array(batch), (np.array(batch)[:, 0] > 0).astype("int32")
                batch = []


def make_model():
    set_seed(1)
    inputs = keras.layers.Input((6,))
    x = keras.layers.Dropout(0.3)(keras.layers.Dense(8, activation="tanh")(inputs))
    model = keras.models.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))
    model.compile(Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class Stop(keras.callbacks.Callback):
    """Interrupts after so many batches."""

    def __init__(self, batches):
        super().__init__()
        self.left = batches

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def train(folder, stop=None, kind="generator", **options):
    model = make_model()
    data = Rows(ROWS.tolist(), batch_size=8)
    waits = keras.callbacks.ReduceLROnPlateau(monitor="accuracy", patience=1, min_delta=0.5, factor=0.5)
    callbacks = [Resume(folder, **options), waits, *([Stop(stop)] if stop else [])]
    rest = {"epochs": 4, "callbacks": callbacks, "verbose": 0}
    if kind == "arrays":
        model.fit(ROWS, (ROWS[:, 0] > 0).astype("int32"), batch_size=8, validation_split=0.2, **rest)
    elif kind == "passes":
        model.fit(data.forfit(), **rest)
    else:
        model.fit(data.forfit(), steps_per_epoch=len(data), **rest)
    return model


@pytest.mark.backend
@pytest.mark.parametrize(
    ("stop", "every", "kind"),
    [(10, None, "generator"), (13, 2, "generator"), (11, None, "passes"), (6, 3, "passes"), (9, 3, "arrays")],
)
def test_the_same_weights_after_an_interruption(tmp_path, stop, every, kind):
    whole = train(tmp_path / "whole", kind=kind)
    with pytest.raises(BaseException, match="|KeyboardInterrupt"):
        train(tmp_path / "cut", stop, kind, every=every)
    found = train(tmp_path / "cut", every=every, kind=kind)
    for a, b in zip(whole.get_weights(), found.get_weights(), strict=True):
        assert (a == b).all()
    assert float(whole.optimizer.learning_rate) == float(found.optimizer.learning_rate) < 0.01
    assert found.history.history["loss"][-1] == whole.history.history["loss"][-1]
    assert len(found.history.history["loss"]) == 4
    # A finished run is not trained again, and a longer one goes on.
    again = train(tmp_path / "cut", every=every, kind=kind)
    assert all((a == b).all() for a, b in zip(again.get_weights(), found.get_weights(), strict=True))


def test_files_that_do_not_fit(tmp_path):
    train(tmp_path / "run")
    other = keras.models.Sequential([keras.layers.Input((6,)), keras.layers.Dense(2, activation="softmax")])
    other.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(StateError, match="variables.*was the model or the optimizer changed"):
        Resume(tmp_path / "run").restore(other)
    path = tmp_path / "run" / "state.npz"
    whole = path.read_bytes()
    for content in (whole[:-30], b"", whole[:200] + bytes(100) + whole[300:]):
        path.write_bytes(content)
        with pytest.raises(StateError, match=r"state\.npz is damaged"):
            Resume(tmp_path / "run").restore(make_model())
    with pytest.raises(ValueError, match="every"):
        Resume(tmp_path, every=0)


@pytest.mark.long
def test_killed_at_any_moment(tmp_path):
    """Killed ten times without warning, the run ends with the weights of one that was not."""
    code = "import sys; from test_resume import train; import numpy as np; "
    code += "m = train(sys.argv[1], every=2); np.savez(sys.argv[1] + '/end.npz', *m.get_weights())"
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), *sys.path])}

    def start(folder):
        return subprocess.Popen([sys.executable, "-c", code, str(folder)], env=environment, stderr=subprocess.DEVNULL)

    kill_ten_times(start, tmp_path / "whole", tmp_path / "cut", 0.6)
    with np.load(tmp_path / "whole" / "end.npz") as a, np.load(tmp_path / "cut" / "end.npz") as b:
        assert all((a[name] == b[name]).all() for name in a.files)
