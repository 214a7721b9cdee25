"""ConditionalClassifier: a plain model at first, two standards for the same texts after training, kept by a folder."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from task_cases import FOOD, HEALTH

from bert4keras2.metrics import best_threshold
from bert4keras2.models import build_transformer_model
from bert4keras2.tasks import ConditionalClassifier, RowError, load_task, read_rows
from bert4keras2.training import normalize_task_gradients

pytestmark = pytest.mark.backend
TASKS = ["any", "strict"]


def rows(count):
    """Return rows of one text for two tasks: "any" asks for food, "strict" for food at the beginning."""
    random, found = np.random.RandomState(0), []
    for index in range(count):
        first, second = ((FOOD, HEALTH), (HEALTH, FOOD), (HEALTH, HEALTH))[index % 3]
        text = "".join(random.choice(list(first), 3)) + "".join(random.choice(list(second), 3))
        found.append(("any", text, str(int(index % 3 < 2))))
        found.append(("strict", text, str(int(index % 3 < 1))))
    return found


def test_begins_as_the_plain_model(checkpoint):
    task = ConditionalClassifier.from_checkpoint(
        checkpoint, labels=["0", "1"], tasks=TASKS, maxlen=16, condition_size=8
    )
    texts = ["火锅汤底", "感冒发烧"]
    one, other = (task.scores([k, k], texts) for k in (0, 1))
    np.testing.assert_allclose(one, other, atol=1e-6)
    plain = build_transformer_model(checkpoint)
    ids, segments = task.tokenizer.encode_batch(texts, maxlen=16)
    kernel, bias = task.transformer.layers["Conditional-Classifier"].get_weights()
    scores = keras.ops.convert_to_numpy(plain([ids, segments])).mean(1) @ kernel + bias
    expected = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    np.testing.assert_allclose(one, expected, atol=1e-5)


@pytest.mark.eager
def test_two_standards_are_learnt(checkpoint, tmp_path):
    keras.utils.set_random_seed(0)
    task = ConditionalClassifier.from_checkpoint(checkpoint, tasks=TASKS, maxlen=16, condition_size=8)
    task.fit(rows(36), epochs=15, batch_size=36, learning_rate=0.01, verbose=0)
    report = task.evaluate(rows(36))
    assert report.score > 0.85, "without a condition one of both standards is wrong: a third of the rows differ"
    assert "strict: macro_f1" in report.text
    found = task.fit_thresholds(rows(36))
    assert set(found) == set(TASKS) and task.evaluate(rows(36)).score >= report.score - 0.02
    task.save(tmp_path / "saved")
    again = load_task(tmp_path / "saved")
    assert again.thresholds == found
    texts = [text for _, text, _ in rows(6)]
    np.testing.assert_allclose(again.scores([1] * 12, texts), task.scores([1] * 12, texts), atol=1e-5)
    assert [one.label for one in again.predict("any", texts[:4])] == [
        one.label for one in task.predict("any", texts[:4])
    ]
    normal = lambda model: normalize_task_gradients(model, 2)  # noqa: E731
    history = task.fit(rows(16), epochs=1, learning_rate=1e-3, techniques=[normal], verbose=0).history
    assert np.isfinite(history["loss"][0])
    with pytest.raises(RowError, match="label 'strickt' is none of the 2 labels; did you mean 'strict'"):
        task.evaluate([("strickt", "火锅", "1")])
    with pytest.raises(ValueError, match=r"3 tasks need a model of .*task_condition\(3\)"):
        ConditionalClassifier(task.transformer, task.tokenizer, tasks=["a", "b", "c"])


def test_small_tasks_come_as_often_as_balance_says(checkpoint):
    task = ConditionalClassifier.from_checkpoint(checkpoint, labels=["0", "1"], tasks=TASKS, maxlen=16, balance=0)
    few = [("any", "火锅", "1")] * 12 + [("strict", "汤底", "0")] * 3
    counts = np.bincount([sample[2] for sample in task.samples(task.read(read_rows(few), True))])
    assert counts.tolist() == [12, 12]
    task.balance = 1.0
    counts = np.bincount([sample[2] for sample in task.samples(task.read(read_rows(few), True))])
    assert counts.tolist() == [12, 3]


def test_threshold():
    assert best_threshold([0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]) == pytest.approx(0.25)
    assert best_threshold([0, 1], [0.5, 0.5]) == 0.5
