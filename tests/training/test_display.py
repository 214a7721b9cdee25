"""What `fit`, `evaluate` and `predict` print: each epoch once, on a terminal and in a file."""

from __future__ import annotations

import re

import keras as plain_keras
import numpy as np
import pytest

from bert4keras2.backend import keras
from bert4keras2.training import display

X, Y = np.ones((8, 3), "float32"), np.zeros(8, "int32")


def screen(text: str) -> list[str]:
    """Return the lines that a terminal shows after a text with carriage returns and backspaces."""
    lines, column = [""], 0
    for character in re.sub(r"\x1b\[\d*m", "", text):
        if character == "\n":
            lines.append("")
        if character in "\n\r":
            column = 0
        elif character == "\b":
            column = max(0, column - 1)
        else:
            line = lines[-1].ljust(column)
            lines[-1] = line[:column] + character + line[column + 1 :]
            column += 1
    return [line.rstrip() for line in lines if line.strip()]


class Evaluator(keras.callbacks.Callback):
    """Prints after each epoch, as those of training scripts do."""

    def on_epoch_end(self, epoch, logs=None):
        print(f"epoch {epoch}: best")


@pytest.fixture(scope="module")
def model():
    inputs = keras.layers.Input((3,))
    model = keras.models.Model(inputs, keras.layers.Dense(2, activation="softmax")(inputs))
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr(display, "interactive", lambda stream: True)


def fit(model, *callbacks, **options):
    model.fit(X, Y, batch_size=4, epochs=2, callbacks=list(callbacks), **options)


@pytest.mark.parametrize("make", [list, tuple])
def test_callbacks_print_after_the_bar(model, terminal, capsys, make):
    model.fit(X, Y, 4, 2, "auto", make([Evaluator()]))
    lines = screen(capsys.readouterr().out)
    assert [re.sub(r"(2/2|epoch \d: best).*", r"\1", line) for line in lines] == [
        *("Epoch 1/2", "2/2", "epoch 0: best"),
        *("Epoch 2/2", "2/2", "epoch 1: best"),
    ]


def test_keras_prints_before_the_end_of_its_bar(model, capsys):
    """What the order of callbacks is for; where this fails, Keras has changed and `show_once` may do less."""
    plain_keras.Model.fit(model, X, Y, batch_size=4, epochs=1, callbacks=[Evaluator()], verbose=1)
    assert sum("━" in line for line in screen(capsys.readouterr().out)) == 2


def test_rates_are_shown_by_the_bar(model, terminal, capsys):
    fit(model, keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate), Evaluator())
    assert len(re.findall(r"learning_rate: [\d.]+\nepoch \d: best", capsys.readouterr().out)) == 2


def test_a_bar_of_ones_own_stays(model, capsys):
    fit(model, Evaluator(), keras.callbacks.ProgbarLogger(), verbose=1)
    assert capsys.readouterr().out.index("best") < 400


def test_a_file_gets_a_line_for_each_epoch(model, capsys):
    fit(model, Evaluator())
    model.evaluate(X, Y, batch_size=4)
    model.predict(X, batch_size=4)
    lines = capsys.readouterr().out.splitlines()
    assert [re.sub(r"(2/2).*", r"\1", line) for line in lines] == [
        *("Epoch 1/2", "2/2", "epoch 0: best", "Epoch 2/2", "2/2", "epoch 1: best"),
        *("2/2", "2/2"),
    ]
    model.fit_generator(iter([(X, Y)] * 2), steps_per_epoch=2)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_silence_and_wishes_stay(model, terminal, capsys):
    fit(model, Evaluator(), verbose=0)
    model.predict(X, 4, 0)
    assert capsys.readouterr().out == "epoch 0: best\nepoch 1: best\n"
    model.evaluate(X, Y, 4, 2)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_steps_do_not_wait_for_the_bar(model):
    """Keras calls callbacks in a thread of its own where none of them has to see each batch at once."""
    given = {"verbose": 1, "callbacks": [Evaluator()]}
    display.show_once(given, trains=True)
    bar, own = given["callbacks"]
    assert isinstance(bar, keras.callbacks.ProgbarLogger) and isinstance(own, Evaluator)
    options = {"model": model, "verbose": 1, "epochs": 1, "steps": 1}
    usual = keras.callbacks.CallbackList([own], add_progbar=True, **options)
    assert keras.callbacks.CallbackList([bar, own], **options)._async_train == usual._async_train
