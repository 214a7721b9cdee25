"""TextMatcher: rows of each objective are learnt, and a saved folder gives the same cosines to all who read it."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from bert4keras2.embeddings import GroupRows, SentenceEncoder, hard_negatives, similarity
from bert4keras2.tasks import RowError, TextMatcher, load_task

pytestmark = pytest.mark.backend
FIRST = ["火锅", "汤底", "太咸", "米饭", "感冒", "发烧", "头痛", "医生"]
SECOND = ["在感冒", "发烧了", "很痛", "医生呢", "这火锅", "汤底了", "咸吗", "小米饭"]
GRADED = [(a, SECOND[j], 1 + 4 * (i == j)) for i, a in enumerate(FIRST) for j in range(len(SECOND))]


@pytest.fixture
def seeded():
    keras.utils.set_random_seed(0)


def test_grades_are_learnt_and_kept(checkpoint, tmp_path, seeded):
    task = TextMatcher.from_checkpoint(checkpoint, widths=[8, 16], maxlen=16)
    before = task.evaluate(GRADED).score
    history = task.fit(GRADED, GRADED, epochs=8, batch_size=32, learning_rate=0.01, verbose=0).history
    report = task.evaluate(GRADED)
    assert before + 0.3 < report.score == pytest.approx(max(history["val_spearman"]), abs=1e-6)
    task.save(tmp_path / "saved")
    pairs = list(zip(FIRST, SECOND, strict=True))
    expected = [one.value for one in task.predict(pairs)]
    again = load_task(tmp_path / "saved")
    assert again.objective == "cosent" and again.widths == [8, 16]
    assert [one.value for one in again.predict(FIRST, SECOND)] == pytest.approx(expected, abs=1e-5)
    encoder = SentenceEncoder.load(tmp_path / "saved")
    assert np.diag(similarity(encoder.encode(FIRST), encoder.encode(SECOND))) == pytest.approx(expected, abs=1e-5)
    assert encoder.maxlen == 16


@pytest.mark.parametrize("objective", ["contrastive", "triplet"])
def test_other_objectives(objective, checkpoint, seeded):
    """Each first text comes to be nearest to its own second one, with which it shares no character."""
    rows = list(zip(FIRST, SECOND, strict=True))
    if objective == "triplet":
        rows = [(a, b, SECOND[(i + k) % 8]) for i, (a, b) in enumerate(rows) for k in (1, 3, 4, 6)]
    task = TextMatcher.from_checkpoint(checkpoint, objective=objective, maxlen=16)
    task.fit(rows, epochs=20 if objective == "contrastive" else 8, batch_size=8, learning_rate=0.01, verbose=0)
    cosines = similarity(task.encoder.encode(FIRST), task.encoder.encode(SECOND))
    assert (cosines.argmax(1) == np.arange(8)).mean() >= 0.5, "chance is 1 in 8"


def test_batches_of_groups_and_hard_negatives(checkpoint, seeded):
    """Groups stay whole; negatives are near, unlabelled as positives, and below the pair itself."""
    task = TextMatcher.from_checkpoint(checkpoint, objective="simcse", maxlen=16, dropout_rate=0.1)
    encoder = task.encoder
    batches = GroupRows(encoder, FIRST + SECOND, batch_size=4)
    seen = 0
    for x, y in batches.forfit():
        ids = x[0] if isinstance(x, list) else x
        np.testing.assert_array_equal(ids[::2], ids[1::2])
        assert y[:, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
        seen += len(ids)
        if seen >= 32:
            break
    repeated, _ = GroupRows(encoder, FIRST, batch_size=8, repeat=1.0, seed=0).collate([((t, t), None) for t in FIRST])
    lengths = (repeated[0] > 0).sum(1)
    assert (lengths[1::2] >= lengths[::2]).all() and (lengths[1::2] > lengths[::2]).any()

    pairs = [(a, b) for a, b in zip(FIRST, SECOND, strict=True)] + [(FIRST[0], SECOND[2])]
    cosines = dict(zip(FIRST, similarity(encoder.encode(FIRST), encoder.encode(SECOND)), strict=True))
    for first, second, negative in hard_negatives(encoder, pairs, margin=0.0):
        row, own = cosines[first], SECOND.index(second)
        allowed = [j for j in range(8) if row[j] <= row[own] + 1e-6 and (first, SECOND[j]) not in pairs]
        assert row[SECOND.index(negative)] == pytest.approx(row[allowed].max(), abs=1e-5)
    with pytest.raises(ValueError, match="tuples of equally many texts"):
        GroupRows(encoder, [("好", "看"), ("好", "看", "吗")])


def test_what_cannot_be(checkpoint):
    with pytest.raises(ValueError, match="did you mean 'cosent'"):
        TextMatcher.from_checkpoint(checkpoint, objective="cosnet")
    task = TextMatcher.from_checkpoint(checkpoint, objective="simcse", maxlen=16)
    with pytest.raises(ValueError, match="the model has none: build it with .*dropout_rate=0.1"):
        task.fit([("好看",)])
    with pytest.raises(RowError, match=r"rows\[0\] has 2 columns"):
        task.evaluate([("好看", "真好看")])
    with pytest.raises(ValueError, match="1 texts but 0 second texts"):
        task.predict(["好看"])
