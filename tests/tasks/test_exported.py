"""Exported tasks and encoders say what they said before they were exported."""

from __future__ import annotations

import json
import re

import keras
import numpy as np
import pytest

import bert4keras2.__main__ as command
from bert4keras2.embeddings import SentenceEncoder
from bert4keras2.tasks import EntityTagger, MultipleChoice, SpanReader, TextClassifier, load_task

pytest.importorskip("onnxruntime")
pytest.importorskip("tf2onnx")
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="exported models are run without Keras; see tests/exporting"
)
TEXTS = ["这家店的火锅汤底太咸", "感冒发烧", "好", "米饭面条头痛咳嗽医生" * 2]


@pytest.fixture(scope="module")
def classifier(checkpoint, tmp_path_factory):
    """A classifier of pairs, and the folder that it was exported to."""
    folder = tmp_path_factory.mktemp("exported") / "classifier"
    task = TextClassifier.from_checkpoint(
        checkpoint, labels=["美食", "健康"], pooling="pooler", pairs=True, maxlen=20, prefix="我"
    )
    task.export(folder)
    return task, folder


def same(found, expected) -> None:
    """Compare predictions, whose scores agree but for rounding."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        one, other = one.as_dict(), other.as_dict()
        numbers = [key for key, value in one.items() if isinstance(value, float)]
        assert {k: v for k, v in one.items() if k not in numbers} == {
            k: v for k, v in other.items() if k not in numbers
        }
        assert [one[key] for key in numbers] == pytest.approx([other[key] for key in numbers], abs=2e-6)


def test_classifier(classifier):
    task, folder = classifier
    again = load_task(folder, batch_size=3, threads=1)
    assert isinstance(again, TextClassifier) and (again.maxlen, again.prefix, again.labels) == (20, "我", task.labels)
    pairs = list(zip(TEXTS, reversed(TEXTS), strict=True))
    same(again.predict(pairs), task.predict(pairs))
    report = again.evaluate([(*pair, "美食") for pair in pairs])
    assert report.metrics == pytest.approx(task.evaluate([(*pair, "美食") for pair in pairs]).metrics)
    assert TextClassifier.load(folder).predict(pairs[:1]) == again.predict(pairs[:1])
    with pytest.raises(ValueError, match="is an exported model: it predicts and evaluates"):
        again.fit([(*pair, "美食") for pair in pairs])
    with pytest.raises(ValueError, match="built already: dropout_rate says nothing"):
        load_task(folder, dropout_rate=0.1)
    with pytest.raises(ValueError, match="of the kind 'task', not 'vectors': export it with pooling"):
        SentenceEncoder.load(folder)


def test_ids_and_lengths_are_looked_at(classifier):
    """An exported model knows as many positions as the model has: a longer text is an error that says so."""
    with pytest.raises(ValueError, match="maxlen=65, but the model knows 64 positions"):
        load_task(classifier[1], maxlen=65)


@pytest.mark.parametrize("head", ["efficient_global_pointer", "crf"])
def test_taggers(head, checkpoint, tmp_path):
    task = EntityTagger.from_checkpoint(checkpoint, labels=["药", "病"], head=head, maxlen=12)
    task.export(tmp_path / "tagger")
    found, expected = (each.predict(TEXTS, threshold=0.3) for each in (load_task(tmp_path / "tagger"), task))
    assert sum(map(len, expected)) > 3
    for own, other in zip(found, expected, strict=True):
        same(own, other)


def test_reader_and_choice(checkpoint, tmp_path):
    reader = SpanReader.from_checkpoint(checkpoint, maxlen=16, stride=4)
    reader.export(tmp_path / "reader")
    same(load_task(tmp_path / "reader").predict(TEXTS, ["医生"] * 4), reader.predict(TEXTS, ["医生"] * 4))
    choice = MultipleChoice.from_checkpoint(checkpoint)
    choice.export(tmp_path / "choice")
    rows = [("小明在北京上学", "小明在哪", ["上海", "北京", "海"])]
    same(load_task(tmp_path / "choice").predict(rows), choice.predict(rows))


def test_vectors(checkpoint, tmp_path):
    encoder = SentenceEncoder.load(checkpoint, maxlen=24, normalize=True, prefix="我", batch_size=3)
    encoder.export(tmp_path / "vectors")
    again = SentenceEncoder.load(tmp_path / "vectors", engine="onnx", threads=1)
    assert (again.dimension, again.maxlen, again.prefix, again.normalize) == (32, 24, "我", True)
    np.testing.assert_allclose(again.encode(TEXTS), encoder.encode(TEXTS), atol=2e-6)
    with pytest.raises(ValueError, match="holds an exported model with pooling='mean'"):
        SentenceEncoder.load(tmp_path / "vectors", pooling="cls")
    with pytest.raises(ValueError, match="an exported model, which is built already: output says nothing"):
        SentenceEncoder.load(tmp_path / "vectors", output="x")
    with pytest.raises(ValueError, match="engine"):
        SentenceEncoder.load(checkpoint, engine="onix")
    first_last = {"pooling": "first-last", "maxlen": 24}
    by_onnx = SentenceEncoder.load(checkpoint, engine="onnx", **first_last)
    np.testing.assert_allclose(
        by_onnx.encode(TEXTS), SentenceEncoder.load(checkpoint, **first_last).encode(TEXTS), atol=5e-6
    )


def test_command(classifier, checkpoint, tmp_path, capsys):
    """A saved task, in int8; and a checkpoint, whose folder is not written to."""
    task, _ = classifier
    task.save(tmp_path / "task")
    assert command.main(["export", str(tmp_path / "task"), "--to", "onnx", "--int8"]) == 0
    assert float(re.search(r"int8: cosine ([\d.]+)", capsys.readouterr().out)[1]) > 0.99
    folder = tmp_path / "task-onnx-int8"
    assert json.loads((folder / "export.json").read_text(encoding="utf-8"))["int8"]
    pairs = [(TEXTS[0], TEXTS[1]), (TEXTS[2], TEXTS[3])]
    found, expected = load_task(folder).predict(pairs), task.predict(pairs)
    assert [one.label for one in found] == [one.label for one in expected]
    assert [one.probability for one in found] == pytest.approx([one.probability for one in expected], abs=0.02)
    assert found[0].probability != expected[0].probability  # it is int8 indeed
    assert command.main(["export", str(checkpoint), "--output", str(checkpoint), "--pooling=mean", "--maxlen=9"]) == 1
    assert "holds a checkpoint (model.safetensors): export to a folder of its own" in capsys.readouterr().err


@pytest.mark.long
def test_other_formats(checkpoint, tmp_path):
    """SavedModel and LiteRT, which TensorFlow itself reads."""
    import tensorflow as tf

    encoder = SentenceEncoder.load(checkpoint, maxlen=24)
    ids, segments = encoder.tokenizer.encode_batch(TEXTS, maxlen=24)
    expected = encoder.encode(TEXTS)
    encoder.export(tmp_path / "saved", "saved_model")
    serve = tf.saved_model.load(tmp_path / "saved" / "saved_model").signatures["serving_default"]
    found = serve(Input_Token=tf.constant(ids, tf.int32), Input_Segment=tf.constant(segments, tf.int32))
    np.testing.assert_allclose(next(iter(found.values())), expected, atol=2e-6)
    encoder.export(tmp_path / "lite", "litert")
    runner = tf.lite.Interpreter(str(tmp_path / "lite" / "model.tflite")).get_signature_runner()
    found = runner(Input_Token=ids.astype("int32"), Input_Segment=segments.astype("int32"))
    np.testing.assert_allclose(next(iter(found.values())), expected, atol=2e-6)
