"""SpanReader: answers in the original text, from whichever window they stand in."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from task_cases import once

from bert4keras2.tasks import RowError, SpanReader, load_task
from bert4keras2.tasks.rows.reading import reading_rows

pytestmark = pytest.mark.backend
FILLING, PLACES = "今天我去了和人的很在呢", ["北京", "上海", "医生"]


def rows(count, seed=0, longest=10):
    """Return (text, question, answers): where 小明 is, which stands in the text somewhere behind 在."""
    random = np.random.RandomState(seed)
    found = []
    for _ in range(count):
        before, after = ("".join(random.choice(list(FILLING), random.randint(1, longest))) for _ in range(2))
        place = PLACES[random.randint(len(PLACES))]
        text = f"{before}小明{place}{after}"
        found.append((text, "小明在北？", [(len(before) + 2, place)]))
    return found


@pytest.mark.parametrize("head", [pytest.param("start_end", marks=once), "global_pointer"])
def test_learns_and_comes_back(checkpoint, tmp_path, head):
    keras.utils.set_random_seed(0)
    task = SpanReader.from_checkpoint(checkpoint, head=head, maxlen=32, stride=8, longest_answer=4)
    history = task.fit(rows(128), rows(16, 1), epochs=6, batch_size=8, learning_rate=5e-3, verbose=0).history
    assert task.no_answer is False and max(history["val_em"]) > 0.8, history
    report = task.evaluate(rows(16, 1))
    assert report.metrics["f1"] == pytest.approx(max(history["val_f1"]))
    # Far longer than a window, with blanks and characters that are cut into none: places are those of the text itself.
    text = f"{FILLING * 4}  小明  上海 {FILLING * 3}"
    answer = task.predict(text, "小明在北？")
    assert text[answer.start : answer.end] == answer.text and 0 < answer.score <= 1
    assert answer.text == "上海" and answer.start == text.index("上海")
    task.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == [{"start_end": "BertForQuestionAnswering"}.get(head, "BertModel")]
    again = load_task(tmp_path).predict([(text, "小明在北？")])[0]
    assert again[:3] == answer[:3] and again.score == pytest.approx(answer.score, abs=1e-5)


def test_windows_hold_every_token(checkpoint):
    task = SpanReader.from_checkpoint(checkpoint, maxlen=16, stride=5)
    for length in (0, 1, 7, 8, 9, 13, 14, 40):
        tokens = list(range(100, 100 + length))
        windows = list(task.windows(0, "小明在？", tokens))
        assert all(len(window.ids) <= 16 and len(window.ids) == len(window.segments) for window in windows)
        seen = set()
        for window in windows:
            size = len(window.ids) - window.first - 1
            part = window.ids[window.first : window.first + size]
            assert part == tokens[window.offset : window.offset + size]
            assert window.segments == [0] * window.first + [1] * (size + 1)
            seen |= set(part)
        assert seen == set(tokens) and len(windows) == 1 + max(-(-(length - 9) // 5), 0)
    ids, segments = task.tokenizer.encode("小明在？", "北京")
    (window,) = task.windows(0, "小明在？", task.tokenizer.encode("北京")[0][1:-1])
    assert (window.ids, window.segments) == (ids, segments)


@once
def test_no_answer(checkpoint):
    """Where questions may have no answer, a model that prefers the first position gives none."""
    data = [*rows(4), ("今天很在呢", "小明在北？", [])]
    task = SpanReader.from_checkpoint(checkpoint, maxlen=32)
    task.fit(data, epochs=1, verbose=0)
    assert task.no_answer is True
    bias = task.transformer.layers["Span-Classifier"].bias
    window = next(task.windows(0, "小明", list(range(5, 9))))
    scores = np.zeros((len(window.ids), 2), "float32")
    scores[0] = 3
    assert bias.shape == (2,) and task._best(scores, window, len(window.ids) - 1) is None
    scores[window.first + 2, 0] = scores[window.first + 3, 1] = 5
    value, first, last = task._best(scores, window, len(window.ids) - 1)
    assert (first, last) == (2, 3) and np.exp(value) == pytest.approx(
        np.exp(10) / (np.exp(10) + np.exp(6) + 4 * np.exp(5) + 5), rel=1e-4
    )
    # Of ten spans of four tokens, one begins and ends right, four do one of the two, and five do neither.


def test_rows():
    read = lambda row: list(reading_rows(row, "dev.json, row 1"))  # noqa: E731
    plain = [("小明在北京", "在哪？", [(3, "北京")])]
    assert read(plain[0]) == plain and read(("小明在北京", "在哪？", "北京")) == plain
    assert (
        read({"context": "小明在北京", "question": "在哪？", "answers": {"text": ["北京"], "answer_start": [3]}})
        == plain
    )
    answers = [{"text": "北京", "answer_start": 3}]
    nested = {
        "title": "x",
        "paragraphs": [{"context": "小明在北京", "qas": [{"question": "在哪？", "answers": answers}]}],
    }
    assert read(nested) == plain
    assert read({"context": "小明在北京", "question": "在哪？", "answers": []}) == [("小明在北京", "在哪？", [])]
    # Files in circulation are off by some characters: the nearest place counts.
    assert read(("北京的小明在北京", "在哪？", [(5, "北京")])) == [("北京的小明在北京", "在哪？", [(6, "北京")])]
    with pytest.raises(RowError, match="dev.json, row 1, paragraph 1, question 1: the answer '上海' should stand at 3"):
        answers[0]["text"] = "上海"
        read(nested)
    with pytest.raises(RowError, match="the question is empty"):
        read(("小明", " ", []))
