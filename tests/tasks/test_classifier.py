"""TextClassifier: it learns, answers in order, keeps its best epoch, and comes back from its folder as it was."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from task_cases import topics, write_checkpoint

from bert4keras2.errors import CheckpointMismatchError
from bert4keras2.tasks import RowError, TextClassifier, load_task, read_rows
from bert4keras2.training import adversarial_training

pytestmark = pytest.mark.backend
TEXTS = ["火锅", "今天我去了医生的店？", "感冒发烧" * 20, "面条很咸，米饭" * 3, "这家店"]


@pytest.fixture(scope="module")
def fitted(checkpoint):
    """A classifier by BERT's own head that has learnt, its history, and what it says of TEXTS."""
    keras.utils.set_random_seed(0)
    task = TextClassifier.from_checkpoint(checkpoint, pooling="pooler", maxlen=32, batch_size=4)
    history = task.fit(topics(96), validation=topics(32, 1), epochs=3, batch_size=8, learning_rate=3e-3, verbose=0)
    return task, history, task.predict(TEXTS)


def probabilities(found) -> np.ndarray:
    return np.array([list(one.probabilities.values()) for one in found])


def test_learns(fitted):
    task, history, found = fitted
    assert task.labels == ["健康", "美食"] and task.kind == "single" and task.pairs is False
    assert max(history.history["val_accuracy"]) > 0.85 and history.history["loss"][-1] < history.history["loss"][0]
    report = task.evaluate(topics(32, 1))
    assert report.score == pytest.approx(max(history.history["val_accuracy"]))
    assert "美食" in report.text and set(report.metrics) == {"accuracy", "macro_f1", "matthews"}
    assert [one.label for one in found[:3]] == ["美食", "健康", "健康"]
    assert found[0].probability == pytest.approx(max(found[0].probabilities.values()))


def test_order_and_batches(fitted):
    """Each text alone, without neighbours and padding, gets what it gets in a batch; a long one is cut."""
    task, _, found = fitted
    for text, one in zip(TEXTS, found, strict=True):
        alone = task.predict(text)
        assert alone.label == one.label
        np.testing.assert_allclose(probabilities([alone]), probabilities([one]), atol=1e-5)
    ids, segments = task.tokenizer.encode(TEXTS[1])
    direct = keras.ops.convert_to_numpy(task.model([np.array([ids]), np.array([segments])]))
    np.testing.assert_allclose(direct, probabilities(found[1:2]), atol=1e-5)


def test_folder(fitted, tmp_path):
    task, _, found = fitted
    task.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == {"0": "健康", "1": "美食"} and config["label2id"] == {"健康": 0, "美食": 1}
    assert config["architectures"] == ["BertForSequenceClassification"]
    for again in (load_task(tmp_path), TextClassifier.from_checkpoint(tmp_path), TextClassifier.load(tmp_path)):
        assert (again.labels, again.maxlen, again.pooling, again.pairs) == (task.labels, 32, "pooler", False)
        np.testing.assert_allclose(probabilities(again.predict(TEXTS)), probabilities(found), atol=1e-6)
    # Without our own file it is a folder of Hugging Face's, and still a classifier of these labels.
    (tmp_path / "task.json").unlink()
    plain = load_task(tmp_path, maxlen=32)
    np.testing.assert_allclose(probabilities(plain.predict(TEXTS)), probabilities(found), atol=1e-6)
    # It does not say whether it is of pairs: rows do.
    pairs = [{"sentence1": "火锅", "sentence2": text, "label": "美食"} for text in ("面条", "感冒")]
    inputs, said = plain.predict_rows(read_rows(pairs))
    assert inputs[1] == {"text": "火锅", "second": "感冒"} and plain.evaluate(pairs).rows == 2
    np.testing.assert_allclose(
        probabilities(said), probabilities(plain.predict(["火锅"] * 2, ["面条", "感冒"])), atol=1e-6
    )
    right = sum(one.label == "美食" for one in said)
    assert plain.evaluate(pairs).score == right / 2
    # Other labels begin anew, on the trained model.
    assert TextClassifier.from_checkpoint(tmp_path, labels=["a", "b", "c"]).model.output_shape == (None, 3)
    config["id2label"] = {"0": "a", "1": "b", "2": "c"}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(CheckpointMismatchError, match="(?s)classifier.weight.*3 labels: a, b, c"):
        load_task(tmp_path)


SCRIPT = """
import json, sys
from bert4keras2.tasks import load_task
print(json.dumps([list(one.probabilities.values()) for one in load_task(sys.argv[1]).predict(json.loads(sys.argv[2]))]))
"""


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="asks the other backends itself")
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_another_process_and_backend(fitted, tmp_path, backend):
    pytest.importorskip(backend)
    task, _, found = fitted
    task.save(tmp_path)
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), json.dumps(TEXTS)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    np.testing.assert_allclose(json.loads(done.stdout.splitlines()[-1]), probabilities(found), atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "torch", reason="transformers needs PyTorch")
def test_transformers_reads_it(fitted, tmp_path):
    transformers = pytest.importorskip("transformers")
    task, _, found = fitted
    task.save(tmp_path)
    pipe = transformers.pipeline("text-classification", model=str(tmp_path), tokenizer=str(tmp_path))
    theirs = pipe(TEXTS, truncation=True, max_length=32)
    assert [one["label"] for one in theirs] == [one.label for one in found]
    np.testing.assert_allclose([one["score"] for one in theirs], [one.probability for one in found], atol=1e-5)
    # And what transformers wrote is a task here.
    pipe.model.save_pretrained(tmp_path / "theirs")
    pipe.tokenizer.save_pretrained(tmp_path / "theirs")
    again = load_task(tmp_path / "theirs", maxlen=32)
    np.testing.assert_allclose(probabilities(again.predict(TEXTS)), probabilities(found), atol=1e-5)


def test_own_head_beside_the_model(checkpoint, tmp_path):
    """Means have no class of Hugging Face's: the folder holds the model under its names, and the head beside it."""
    task = TextClassifier.from_checkpoint(checkpoint, labels=["a", "b", "c"], kind="multi", pooling="mean", maxlen=32)
    found = task.predict(TEXTS, threshold=0.0)
    assert all(set(one.labels) == {"a", "b", "c"} for one in found)
    assert found[0].probabilities[found[0].labels[0]] == max(found[0].probabilities.values())
    task.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["BertModel"] and config["problem_type"] == "multi_label_classification"
    again = load_task(tmp_path)
    assert again.kind == "multi" and again.pooling == "mean"
    np.testing.assert_allclose(probabilities(again.predict(TEXTS)), probabilities(found), atol=1e-6)
    rows = [("火锅", ["a", "c"]), ("感冒", "b"), ("今天", [])]
    history = again.fit(rows, validation=rows, epochs=1, verbose=0).history
    assert set(history) >= {"loss", "val_f1", "val_exact"} and again.evaluate(rows).rows == 3


def test_pairs_and_numbers(checkpoint, tmp_path):
    """The likeness of two texts is a number; a technique of training is a function of the model."""
    pairs = [("火锅", "面条", 4.5), ("火锅", "感冒", 0.5), ("发烧", "头痛", 4.0), ("米饭", "咳嗽", 1.0)] * 8
    task = TextClassifier.from_checkpoint(checkpoint, pooling="mean", maxlen=32)
    applied = []
    technique = functools.partial(adversarial_training, embedding_name="Embedding-Token", epsilon=0.1)
    history = task.fit(
        pairs, pairs[:4], epochs=2, batch_size=8, learning_rate=1e-2, techniques=[technique, applied.append], verbose=0
    ).history
    assert task.kind == "number" and task.pairs and applied == [task.model] and task.model.loss_transforms
    assert set(history) >= {"val_spearman", "val_mse"} and history["loss"][-1] < history["loss"][0]
    one = task.predict(("火锅", "面条")[0], "面条")
    assert one.value == pytest.approx(task.predict([("火锅", "面条")])[0].value, abs=1e-5)
    with pytest.raises(ValueError, match="pairs of texts"):
        task.predict(["火锅"])
    task.save(tmp_path)
    assert load_task(tmp_path).predict("火锅", "面条").value == pytest.approx(one.value, abs=1e-5)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("火锅", "美食"), ("  ", "健康")], r"rows\[1\]: the text is empty"),
        ([("火锅", "美食"), ("感冒", "健庚")], r"rows\[1\]: label '健庚' is none of the 2 labels; did you mean '健康'"),
        ([("火锅", "美食"), ("感冒",)], r"rows\[1\] has 1 columns.*expected \(text, label\)"),
        ([{"text": "火锅", "lable": "美食"}], "has no label: looked for 'label'.*found text, lable"),
        ([], "rows is empty"),
    ],
)
def test_rows_that_cannot_be_learnt(fitted, rows, words):
    with pytest.raises(RowError, match=words):
        fitted[0].fit(rows)
    with pytest.raises(RowError, match=words):
        fitted[0].evaluate(rows)


def test_mistakes(fitted, checkpoint, tmp_path):
    task = fitted[0]
    with pytest.raises(ValueError, match=r"texts\[1\]: the text is empty"):
        task.predict(["火锅", ""])
    with pytest.raises(ValueError, match="knows no labels yet"):
        TextClassifier.from_checkpoint(checkpoint).predict("火锅")
    with pytest.raises(TypeError, match="no option 'poolin'; did you mean|no option 'poolin'"):
        TextClassifier.from_checkpoint(checkpoint, poolin="mean")
    with pytest.raises(ValueError, match="pooling is one of .*did you mean 'mean'"):
        TextClassifier.from_checkpoint(checkpoint, pooling="men")
    with pytest.raises(ValueError, match="maxlen=128, but the model knows 64 positions"):
        TextClassifier.from_checkpoint(checkpoint, labels=["a", "b"], maxlen=128)
    with pytest.raises(ValueError, match="holds no task.*TextClassifier.from_checkpoint"):
        load_task(checkpoint)
    with pytest.raises(FileNotFoundError):
        load_task(tmp_path / "nothing")
    (tmp_path / "task.json").write_text('{"task": "Other"}', encoding="utf-8")
    with pytest.raises(ValueError, match="describes no task: 'task' is 'Other'"):
        load_task(tmp_path)


@pytest.mark.parametrize("family", ["electra", "roformer"])
def test_heads_with_a_layer_of_their_own(tmp_path, family):
    """Families whose classifiers have a hidden layer in the pooler's place: it is theirs in the folder, too."""
    folder = write_checkpoint(tmp_path / "in", model_type=family)
    task = TextClassifier.from_checkpoint(folder, labels=["a", "b"], pooling="pooler", maxlen=32)
    assert {"Classifier-Dense", "Classifier"} <= set(task.transformer.layers)
    task.save(tmp_path / "out")
    from bert4keras2.checkpoints import open_checkpoint

    with open_checkpoint(tmp_path / "out" / "model.safetensors") as reader:
        assert {"classifier.dense.weight", "classifier.out_proj.bias"} <= set(reader.names())
    again = load_task(tmp_path / "out")
    np.testing.assert_allclose(probabilities(again.predict(TEXTS)), probabilities(task.predict(TEXTS)), atol=1e-6)


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("bert", {"pooling": "pooler", "labels": ["a", "b"]}),
        pytest.param("electra", {"pooling": "pooler", "labels": ["a", "b"]}, marks=pytest.mark.breadth),
        pytest.param("bert", {"pooling": "mean", "kind": "number"}, marks=pytest.mark.breadth),
        pytest.param("bert", {"pooling": "cls", "kind": "multi", "labels": ["a", "b", "c"]}, marks=pytest.mark.breadth),
    ],
)
def test_several_texts_in_a_row_of_the_model(tmp_path, family, options):
    """They get what they get alone, pairs too; what cannot keep them apart says so."""
    task = TextClassifier.from_checkpoint(write_checkpoint(tmp_path, model_type=family), maxlen=32, **options)
    texts = [text[: 2 + number] for number, text in enumerate(TEXTS * 4)]

    def said(*texts, **more):
        return np.concatenate([task.scores(list(part), **more) for part in texts])

    np.testing.assert_allclose(said(texts, packed=True), said(texts), atol=1e-5)
    np.testing.assert_allclose(
        said(texts, seconds=texts[::-1], packed=True), said(texts, seconds=texts[::-1]), atol=1e-5
    )
    assert str(task.predict(texts[1], packed=True))[:20] == str(task.predict(texts[1]))[:20]


def test_texts_that_a_model_cannot_keep_apart(tmp_path):
    task = TextClassifier.from_checkpoint(write_checkpoint(tmp_path), labels=["a", "b"], attention="linear")
    with pytest.raises(ValueError, match="mask of pairs.*without packed=True"):
        task.predict(TEXTS, packed=True)
