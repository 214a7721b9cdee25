"""EntityTagger: tags, chains and spans by definition; it learns with each head, and finds entities in the text."""

from __future__ import annotations

import itertools
import json

import keras
import numpy as np
import pytest
from task_cases import OTHER, once

from bert4keras2.optimizers import PiecewiseLinear
from bert4keras2.tasks import EntityTagger, RowError, load_task
from bert4keras2.tasks.heads.losses import span_crossentropy
from bert4keras2.tasks.rows.entities import EntityRow, entity_row
from bert4keras2.tasks.tagger import _above
from bert4keras2.tasks.texts.offsets import TokenOffsets
from bert4keras2.tasks.texts.tags import TagScheme, bio_tags, forward_backward, viterbi
from bert4keras2.tokenizers import load_tokenizer
from bert4keras2.tokenizers.normalize import lowercase_and_strip

pytestmark = pytest.mark.backend
PLACES, PEOPLE = ["北京", "上海", "店"], ["小明", "老师"]


def rows(count, seed=0):
    """Return rows of places and people between other words."""
    random = np.random.RandomState(seed)
    found = []
    for _ in range(count):
        text, spans = "", []
        for kind, words in (("人", PEOPLE), ("地", PLACES)):
            text += "".join(random.choice(list("今天我去了和在呢"), random.randint(1, 4)))
            word = words[random.randint(len(words))]
            spans.append((len(text), len(text) + len(word), kind))
            text += word
        found.append((text + "，" * random.randint(2), spans))
    return found


@pytest.mark.parametrize(
    "head",
    [
        "efficient_global_pointer",
        "crf",
        pytest.param("global_pointer", marks=once),
        pytest.param("softmax", marks=once),
    ],
)
def test_learns_and_comes_back(checkpoint, tmp_path, head):
    keras.utils.set_random_seed(0)
    task = EntityTagger.from_checkpoint(checkpoint, head=head, maxlen=32, prefix="店：")
    history = task.fit(rows(96), rows(16, 1), epochs=4, batch_size=8, learning_rate=5e-3, verbose=0).history
    assert task.labels == ["人", "地"] and max(history["val_f1"]) > 0.9, history
    report = task.evaluate(rows(16, 1))
    assert report.score == pytest.approx(max(history["val_f1"])) and "地" in report.text
    texts = ["今天  小明  在ＡＢＣ北京", "今天", "老师和小明去了上海" * 9]
    found = task.predict(texts)
    first = {(entity.text, entity.type) for entity in found[0]}
    assert {("小明", "人"), ("北京", "地")} <= first
    for text, entities in zip(texts, found, strict=True):
        assert all(text[entity.start : entity.end] == entity.text and 0 < entity.score <= 1 for entity in entities)
        spans = sorted(entity[:2] for entity in entities)
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans)) or not spans
    if task.points:
        assert task.predict(texts, threshold=1) == [[], [], []]
    task.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    tags = list(config["id2label"].values())
    assert tags == (["人", "地"] if task.points else ["O", "B-人", "I-人", "B-地", "I-地"])
    assert config["architectures"] == (["BertForTokenClassification"] if head == "softmax" else ["BertModel"])
    again = load_task(tmp_path)
    assert again.labels == task.labels and again.head == head and again.prefix == "店："
    for one, other in zip(again.predict(texts), found, strict=True):
        assert [entity[:4] for entity in one] == [entity[:4] for entity in other]
        np.testing.assert_allclose([e.score for e in one], [e.score for e in other], atol=1e-5)


@once
@pytest.mark.parametrize("head, usual", [("efficient_global_pointer", 30), ("crf", 100)])
def test_the_head_learns_faster(checkpoint, head, usual):
    """A first step of Adam moves each weight by its rate: the head's by so many times that of the model's."""
    moves = {}
    for rate in (None, 1, 7.0):
        keras.utils.set_random_seed(0)
        task = EntityTagger.from_checkpoint(checkpoint, head=head, labels=["人", "地"], maxlen=32)
        before = {variable.path: variable.numpy() for variable in task.model.trainable_variables}
        options = {"learning_rate": 1e-5, "warmup": 0.0, "weight_decay": 0.0, "head_rate": rate}
        task.fit(rows(8), epochs=1, batch_size=8, verbose=0, **options)
        after = {variable.path: variable.numpy() for variable in task.model.trainable_variables}
        found = {path: np.abs(after[path] - before[path]).max() for path in after}
        moves[rate] = {place: max(found[path] for path in found if place in path) for place in ("Tagger-", "Embedding")}
    for rate, times in ((None, usual), (1, 1), (7.0, 7)):
        assert moves[rate]["Tagger-"] == pytest.approx(times * 1e-5, rel=0.02)
    assert all(move["Embedding"] == pytest.approx(1e-5, rel=0.1) for move in moves.values())
    with pytest.raises(ValueError, match="head_rate"):
        task.fit(rows(8), head_rate=0, verbose=0)


@once
def test_a_schedule_is_not_written_down(checkpoint, monkeypatch):
    """Keras imports TensorFlow for that, on all backends."""

    def written(self):
        raise AssertionError("the schedule was written down")

    monkeypatch.setattr(PiecewiseLinear, "get_config", written)
    EntityTagger.from_checkpoint(checkpoint, maxlen=32).fit(rows(4), epochs=1, batch_size=4, verbose=0)


def test_nested(checkpoint):
    """Spans within spans are learnt and found, and of overlapping ones the flat task keeps the best alone."""
    keras.utils.set_random_seed(0)
    data = [
        (f"{a}北京老师{b}", [(len(a), len(a) + 2, "地"), (len(a), len(a) + 4, "人")])
        for a in ("今", "我去")
        for b in OTHER[:8]
    ]
    task = EntityTagger.from_checkpoint(checkpoint, nested=True, maxlen=32, head="global_pointer")
    task.fit(data, epochs=8, batch_size=4, learning_rate=1e-2, head_rate=1, verbose=0)
    assert {entity[:3] for entity in task.predict("我去北京老师呢")} == {(2, 4, "地"), (2, 6, "人")}
    task.nested = False
    assert len(task.predict("我去北京老师呢")) == 1
    with pytest.raises(ValueError, match="needs a pointer"):
        EntityTagger.from_checkpoint(checkpoint, nested=True, head="crf")


def test_loss_of_spans():
    """The same as the loss over all spans at once, with what is hidden left out."""
    random = np.random.RandomState(0)
    scores = random.standard_normal((2, 3, 5, 5)).astype("float32")
    scores[:, :, np.tri(5, k=-1, dtype=bool)] = -np.inf
    y = np.zeros((2, 3, 4, 2), "int32")
    y[0, 0, 0], y[0, 0, 1], y[1, 2, 0] = (1, 2), (1, 4), (3, 3)
    found = keras.ops.convert_to_numpy(span_crossentropy(y, scores))
    for row, kind in itertools.product(range(2), range(3)):
        flat, right = scores[row, kind].reshape(-1), {a * 5 + b for a, b in y[row, kind] if a + b}
        pos = np.log(1 + sum(np.exp(-flat[list(right)]))) if right else 0
        neg = np.log(1 + sum(np.exp(v) for i, v in enumerate(flat) if i not in right and i != 0))
        assert found[row, kind] == pytest.approx(pos + neg, abs=1e-4)


def test_tags():
    scheme = TagScheme(bio_tags(["a", "b"]))
    assert scheme.encode([(1, 2, "a"), (3, 3, "b"), (2, 3, "b")], 5).tolist() == [0, 1, 2, 3, 0]
    assert scheme.decode([0, 1, 2, 3, 0]) == [(1, 2, "a"), (3, 3, "b")]
    assert scheme.decode([2, 4, 4, 1, 1]) == [(0, 0, "a"), (1, 2, "b"), (3, 3, "a"), (4, 4, "a")]
    for tags in (["B-x", "M-x", "E-x", "S-x", "O"], ["O", "B_x", "I_x", "L_x", "U_x"], ["O", "x"]):
        other = TagScheme(tags)
        for spans in ([(0, 0, "x"), (2, 5, "x")], [(1, 2, "x")], []):
            assert other.decode(other.encode(spans, 7).tolist()) == spans


def test_chains():
    """The best sequence and the marginals, against all sequences there are."""
    random = np.random.RandomState(0)
    scores, trans, lengths = random.standard_normal((2, 4, 3)), random.standard_normal((3, 3)), np.array([4, 2])
    best, sure = viterbi(scores, lengths, trans), forward_backward(scores, lengths, trans)
    for row, length in enumerate(lengths):
        paths = list(itertools.product(range(3), repeat=length))
        totals = [
            sum(scores[row, i, x] for i, x in enumerate(p)) + sum(trans[a, b] for a, b in itertools.pairwise(p))
            for p in paths
        ]
        assert tuple(best[row, :length]) == paths[int(np.argmax(totals))]
        weights = np.exp(totals) / np.sum(np.exp(totals))
        for place, label in itertools.product(range(length), range(3)):
            expected = sum(w for w, p in zip(weights, paths, strict=True) if p[place] == label)
            assert sure[row, place, label] == pytest.approx(expected)


def test_rows():
    read = lambda row: entity_row(row, "data.jsonl, line 3")  # noqa: E731
    plain = ("小明在北京", [(0, 2, "人"), (3, 5, "地")])
    assert read(plain) == plain
    named = [{"start": 0, "end": 2, "label": "人", "text": "小明"}, {"start": 3, "end": 5, "type": "地"}]
    assert read({"text": "小明在北京", "entities": named}) == plain
    cluener = {"text": "小明在北京", "label": {"人": {"小明": [[0, 1]]}, "地": {"北京": [[3, 4]]}}}
    assert read(cluener) == plain
    assert read({"tokens": list("小明在北京"), "ner_tags": ["B-人", "I-人", "O", "B-地", "I-地"]}) == plain
    words = {"tokens": ["in", "New", "York"], "tags": ["O", "B-LOC", "I-LOC"]}
    assert read(words) == ("in New York", [(3, 11, "LOC")])
    for row, message in (
        (("小明", [(0, 3, "人")]), "line 3: the 人 from 0 to 3 does not fit the text, which has 2"),
        (("小明", [(1, 1, "人")]), "from 1 to 1 does not fit"),
        ({"text": "小明在", "entities": [{"start": 0, "end": 1, "type": "人", "text": "小明"}]}, "is the end included"),
        (("小明", [("小明", "人")]), "an entity is"),
        (("小明", "人"), "expected a list of"),
        ({"tokens": ["小"], "tags": []}, "1 tokens, but 0 tags"),
    ):
        with pytest.raises(RowError, match=message):
            read(row)


def test_long_texts(checkpoint):
    """Texts of more tokens than a sequence are read in pieces; together these are the text, and end with sentences."""
    task = EntityTagger.from_checkpoint(checkpoint, labels=["人"], maxlen=16, prefix="店：")
    texts = ["小明在北京。" * 9, "小明", "今" * 40, "abcabc " * 20, "。" * 13]
    pieces = task.pieces(texts)
    for row, text in enumerate(texts):
        own = [piece for piece in pieces if piece.row == row]
        assert "".join(piece.text for piece in own).replace(" ", "") == text.replace(" ", "")
        assert all(text.startswith(piece.text, piece.start) for piece in own)
        assert all(len(task.tokenizer.encode("店：" + piece.text)[0]) <= 16 for piece in own)
    assert all(piece.text.endswith("。") for piece in pieces if piece.row == 0)
    assert [piece for piece in pieces if piece.row == 1] == [(1, 0, "小明")]
    rows = [EntityRow("小明在北京。" * 9, [(0, 2, "人"), (48, 50, "人"), (41, 44, "人")])]
    with pytest.warns(UserWarning, match="1 of 3 entities are not learnt"):
        samples = task.samples(rows)
    found = [(row, tuple(span)) for row, (_, _, spans) in enumerate(samples) for span in spans]
    assert len(samples) == len([piece for piece in pieces if piece.row == 0]) and len(found) == 2
    assert found[0] == (0, (3, 4, "人")) and found[1][0] == len(samples) - 1


@pytest.mark.parametrize("maxlen", [None, 6, 40])
@pytest.mark.parametrize("special", [True, False])
def test_places_of_tokens(checkpoint, maxlen, special):
    """The short way for Chinese texts gives what the long one gives, and each place has what its token says."""
    tokenizer = load_tokenizer(checkpoint)
    for prefix, text in (("", "小明，在“北京”"), ("店：", "小明龘在…·"), ("", "小明 in 北京abc １２")):
        found = TokenOffsets(tokenizer, text, maxlen, prefix, special)
        slow = load_tokenizer(checkpoint, never_split=["[MASK]"])
        other = TokenOffsets(slow, text, maxlen, prefix, special)
        assert (found.spans, found.ids) == (other.spans, other.ids)
        ids = tokenizer.encode(prefix + text, maxlen=maxlen)[0]
        assert found.ids == (ids if special else ids[1:-1])
        for span, token in zip(found.spans, tokenizer.ids_to_tokens(found.ids), strict=True):
            assert span is None or token == "[UNK]" or text[slice(*span)] == token.removeprefix("##")


@pytest.mark.parametrize(
    ("prefix", "text"),
    [
        ("a", "bc小明 a\u0301b\x07c 北\u0301京"),  # a word that begins in the prefix, accents, a control character
        ("店：", "한국 ΑΣ Σ。\u2009İı小 明\u200b"),
    ],
)
def test_places_of_what_is_decomposed(checkpoint, prefix, text):
    tokenizer, slow = load_tokenizer(checkpoint), load_tokenizer(checkpoint, never_split=["[MASK]"])
    found, other = (TokenOffsets(one, text, None, prefix) for one in (tokenizer, slow))
    assert (found.spans, found.ids) == (other.spans, other.ids) and found.ids == tokenizer.encode(prefix + text)[0]
    for span, token in zip(found.spans, tokenizer.ids_to_tokens(found.ids), strict=True):
        assert span is None or token == "[UNK]" or token.removeprefix("##") in lowercase_and_strip(text[slice(*span)])


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1), (3, 1, 0, 2)])
def test_scores_are_found_as_they_lie(order):
    lying = np.random.RandomState(0).standard_normal((3, 4, 5, 2)).astype("float32")
    scores = lying.transpose(np.argsort(order))
    places, values = _above(scores, 0.5)
    np.testing.assert_array_equal(places, np.argwhere(scores > 0.5))
    np.testing.assert_array_equal(values, scores[scores > 0.5])
