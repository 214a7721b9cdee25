"""MultipleChoice: any number of choices, a softmax over those of each question."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from task_cases import once

from bert4keras2.tasks import MultipleChoice, RowError, load_task
from bert4keras2.tasks.heads.losses import choice_crossentropy

pytestmark = pytest.mark.backend
WORDS = ["火锅", "米饭", "面条", "感冒", "医生", "北京", "上海", "老师"]


def rows(count, seed=0):
    """Return questions with two to four choices, of which the one about food is right."""
    random = np.random.RandomState(seed)
    found = []
    for _ in range(count):
        choices = [WORDS[3 + k] for k in random.choice(5, random.randint(1, 4), replace=False)]
        answer = random.randint(len(choices) + 1)
        choices.insert(answer, WORDS[random.randint(3)])
        found.append(("今天我去了店", "很？", choices, answer))
    return found


def test_loss():
    """Cross entropy over each question's own choices, whatever stands between them."""
    scores = np.array([[0.3], [1.2], [-0.5], [2.0], [0.1]], "float32")
    y = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 1]], "float32")
    first = np.log(np.exp(scores[:2]).sum()) - 1.2
    second = np.log(np.exp(scores[2:]).sum()) + 0.5
    found = keras.ops.convert_to_numpy(choice_crossentropy(y, scores))
    assert found.mean() == pytest.approx((first + second) / 2, abs=1e-5)
    # Rows that fill a batch up change nothing.
    scores, y = np.vstack([scores, scores[:3]]), np.vstack([y, [[0, -1]] * 3]).astype("float32")
    filled = keras.ops.convert_to_numpy(choice_crossentropy(y, scores))
    assert filled.mean() == pytest.approx((first + second) / 2, abs=1e-5)


@pytest.mark.parametrize("pooling", ["pooler", pytest.param("mean", marks=once)])
def test_learns_and_comes_back(checkpoint, tmp_path, pooling):
    keras.utils.set_random_seed(0)
    task = MultipleChoice.from_checkpoint(checkpoint, pooling=pooling, maxlen=32, batch_size=5)
    history = task.fit(rows(64), rows(24, 1), epochs=4, batch_size=8, learning_rate=5e-3, verbose=0).history
    assert max(history["val_accuracy"]) > 0.8, history
    questions = [row[:3] for row in rows(9, 2)]
    found = task.predict(questions)
    for (_, _, choices), one in zip(questions, found, strict=True):
        assert len(one.probabilities) == len(choices) and sum(one.probabilities) == pytest.approx(1)
        assert one.text == choices[one.index] and one.probability == max(one.probabilities)
    alone = task.predict({"context": questions[3][0], "question": questions[3][1], "choices": questions[3][2]})
    np.testing.assert_allclose(alone.probabilities, found[3].probabilities, atol=1e-5)
    task.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == [{"pooler": "BertForMultipleChoice"}.get(pooling, "BertModel")]
    again = load_task(tmp_path)
    np.testing.assert_allclose(again.predict(questions)[3].probabilities, found[3].probabilities, atol=1e-5)
    for row, words in (
        (("今天", "很？", ["火锅"], 0), r"rows\[0\]: the choices are \['火锅'\], expected a list of two"),
        (("今天", "很？", ["火锅", "感冒"], 2), "the answer 2 is none of the 2 choices"),
        (("今天", "很？", ["火锅", " "], 0), "the choice 1 is empty"),
    ):
        with pytest.raises(RowError, match=words):
            again.fit([row])
    assert again.evaluate([("今天", "很？", ["火锅", "感冒"], "火锅")]).rows == 1


def test_optimizer(checkpoint):
    """Another optimizer takes the place of Adam, and brings its own rate."""
    task = MultipleChoice.from_checkpoint(checkpoint, maxlen=32)
    before = task.model.get_weights()
    task.fit(rows(4), batch_size=4, epochs=1, optimizer=keras.optimizers.SGD(0.0), verbose=0)
    assert isinstance(task.model.optimizer, keras.optimizers.SGD)
    assert all(np.array_equal(a, b) for a, b in zip(before, task.model.get_weights(), strict=True))
    with pytest.raises(ValueError, match="its own learning rate"):
        task.fit(rows(4), learning_rate=0.1, optimizer="sgd", verbose=0)
