"""`save_pretrained` of Keras models that were built on a model and fine-tuned; Evaluator in a script's own `fit`."""

from __future__ import annotations

import numpy as np
import pytest

from bert4keras2.backend import keras
from bert4keras2.callbacks import Evaluator
from bert4keras2.layers import FirstToken
from bert4keras2.models import build_transformer_model
from bert4keras2.tokenizers import load_tokenizer

pytestmark = pytest.mark.backend
IDS = np.array([[2, 5, 6, 7, 3], [2, 8, 9, 3, 0]])


def classifier(encoder):
    return keras.models.Model(encoder.inputs, keras.layers.Dense(2, activation="softmax")(FirstToken()(encoder.output)))


def test_save_pretrained(checkpoint, tmp_path):
    encoder = build_transformer_model(checkpoint)
    model = classifier(encoder)
    before = encoder.predict([IDS, IDS * 0], verbose=0)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.train_on_batch([IDS, IDS * 0], np.array([0, 1]))
    model.save_pretrained(tmp_path)
    after = encoder.predict([IDS, IDS * 0], verbose=0)
    assert np.abs(after - before).max() > 1e-5
    again = build_transformer_model(tmp_path)
    np.testing.assert_allclose(again.predict([IDS, IDS * 0], verbose=0), after, atol=1e-6)
    text = "今天火锅"
    assert load_tokenizer(tmp_path).encode(text) == load_tokenizer(checkpoint).encode(text)
    # A part of the blocks is enough to know the model by; two models in one, or none, are not to be told apart.
    part = keras.models.Model(encoder.inputs, encoder.get_layer("Embedding-Norm").output)
    part.save_pretrained(tmp_path / "part")
    assert (tmp_path / "part" / "vocab.txt").exists()
    other = build_transformer_model(checkpoint, prefix="B-")
    both = keras.models.Model(encoder.inputs + other.inputs, [encoder.output, other.output])
    plain = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    for model, count in ((both, "2"), (plain, "no")):
        with pytest.raises(ValueError, match=f"holds {count} models of build_transformer_model"):
            model.save_pretrained(tmp_path / "none")


@pytest.mark.parametrize("in_memory", [True, False])
def test_evaluator(tmp_path, in_memory, capsys):
    """The weights at the end are those of the best epoch, and the measure stands in the history."""
    model = keras.models.Model(x := keras.Input((2,)), keras.layers.Dense(1)(x))
    model.compile("sgd", "mse")
    seen, values = [], iter([0.3, 0.9, float("nan"), 0.9, 0.5])

    def measure(trained):
        seen.append(trained.get_weights()[0].copy())
        return {"f1": next(values), "recall": 0.1}

    evaluator = Evaluator(measure, None if in_memory else tmp_path / "best.weights")
    data = np.random.RandomState(0).standard_normal((8, 2))
    history = model.fit(data, data[:, :1] * 3, epochs=5, callbacks=[evaluator], verbose=2).history
    assert capsys.readouterr().out.count("val_recall: 0.1") == 5
    assert (evaluator.best, evaluator.best_epoch) == (0.9, 1) and history["val_recall"] == [0.1] * 5
    np.testing.assert_array_equal(model.get_weights()[0], seen[1])
    assert history["val_f1"][1] == 0.9 and np.abs(seen[1] - seen[-1]).max() > 0
    with pytest.raises(ValueError, match="mode is 'max' or 'min'"):
        Evaluator(measure, mode="least")
    with pytest.raises(TypeError, match="returns a number"):
        model.fit(data, data[:, :1], callbacks=[Evaluator(lambda model: "good")], verbose=0)
