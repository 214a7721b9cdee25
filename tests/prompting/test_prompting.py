"""Patterns, words and thresholds against hand-made examples; few rows are learnt; a saved task says the same."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from bert4keras2.models import build_transformer_model
from bert4keras2.prompting import (
    NextSentenceScorer,
    Pattern,
    PromptClassifier,
    Thresholds,
    Verbalizer,
    soft_positions,
)
from bert4keras2.tasks import RowError, load_task, read_rows
from bert4keras2.tokenizers import Tokenizer, save_vocab

pytestmark = pytest.mark.backend
CHARACTERS = "很不满意好差这部电影太看了物流快慢体育财经一则新闻"
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(CHARACTERS)]
SIZES = {
    "vocab_size": len(TOKENS),
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 48,
    "initializer_range": 0.2,
    "model_type": "bert",
}
WORDS = {"好评": "很", "差评": "不"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny BERT with both heads of its pre-training."""
    folder = tmp_path_factory.mktemp("prompting")
    keras.utils.set_random_seed(0)
    bert = build_transformer_model(SIZES, with_mlm=True, with_nsp=True, return_keras_model=False)
    bert.save_pretrained(folder)
    save_vocab(folder / "vocab.txt", {token: i for i, token in enumerate(TOKENS)})
    return folder


@pytest.fixture(scope="module")
def task(folder):
    return PromptClassifier.from_checkpoint(folder, pattern="[MASK]满意。{text}", words=WORDS, maxlen=24)


def test_patterns():
    tokenizer = Tokenizer({token: i for i, token in enumerate(TOKENS)})
    ids, places = Pattern("很[MASK][MASK]{text}了").encode(tokenizer, "这部电影", maxlen=48)
    assert [TOKENS[i] for i in ids] == ["[CLS]", "很", "[MASK]", "[MASK]", *"这部电影了", "[SEP]"] and places == [2, 3]
    ids, places = Pattern("{text}[MASK]{second}").encode(tokenizer, "电影" * 9, "物流快", maxlen=13)
    assert [TOKENS[i] for i in ids] == ["[CLS]", *"电影" * 3, "电", "[MASK]", *"物流快", "[SEP]"] and places == [8]
    ids, places = Pattern("{text}[MASK]{second}").encode(tokenizer, "电影" * 9, "物流快" * 5, maxlen=13)
    assert len(ids) == 13 and places == [6], "10 tokens are left for both texts"
    for form, message in [("{text}", "has none"), ("[MASK]", "has {text} once"), ("[MASK]{text}{label}", "{label}")]:
        with pytest.raises(ValueError, match=message):
            Pattern(form)
    with pytest.raises(ValueError, match="has no place for a second text"):
        Pattern("[MASK]{text}").encode(tokenizer, "好", "好")
    with pytest.raises(ValueError, match="leaves no room"):
        Pattern("很好很好[MASK]{text}").encode(tokenizer, "好", maxlen=7)


def test_words():
    tokenizer = Tokenizer({token: i for i, token in enumerate(TOKENS)})
    scores = np.random.RandomState(0).randn(3, 2, len(TOKENS))
    words = Verbalizer({"体育": "体育", "财经": ["财经", "新闻"]})
    p = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    of = {word: p[:, 0, TOKENS.index(word[0])] * p[:, 1, TOKENS.index(word[1])] for word in ("体育", "财经", "新闻")}
    expected = np.stack([of["体育"], (of["财经"] + of["新闻"]) / 2], 1)
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(np.exp(words.scores(scores, words.ids(tokenizer, 2))), expected, rtol=1e-9)
    with pytest.raises(ValueError, match=r"'体育' of label '体育' has 2 tokens, and the pattern 1 \[MASK\]"):
        words.ids(tokenizer, 1)
    with pytest.raises(ValueError, match="'棒' of label 'b' is not in the vocabulary"):
        Verbalizer({"a": "好", "b": "棒"}).ids(tokenizer, 1)


def test_zero_shot_is_the_softmax_at_the_blank(folder, task):
    """By the model's own head over all positions; of two patterns the logarithms are averaged."""
    texts = ["这部电影太好看了", "物流太慢"]
    model = build_transformer_model(folder, with_mlm=True)
    forms = ["[MASK]满意。{text}", "{text}[MASK]好"]
    found = []
    for form in forms:
        for text in texts:
            ids, places = Pattern(form).encode(task.tokenizer, text, maxlen=24)
            rows = [ops.convert_to_tensor([row], "int32") for row in (ids, [0] * len(ids))]
            p = ops.convert_to_numpy(model(rows))[0, places[0], [TOKENS.index("很"), TOKENS.index("不")]]
            found.append(np.log(p / p.sum()))
    found = np.array(found).reshape(2, 2, 2)
    np.testing.assert_allclose(task.log_probabilities(texts), found[0], atol=1e-4)
    both = PromptClassifier.from_checkpoint(folder, pattern=forms, words=WORDS, maxlen=24)
    mean = found.mean(0)
    np.testing.assert_allclose(both.log_probabilities(texts), mean - np.log(np.exp(mean).sum(1))[:, None], atol=1e-4)
    one = task.predict(texts[0])
    assert one.label == task.labels[found[0, 0].argmax()] and one.probability == pytest.approx(
        np.exp(found[0, 0].max()), abs=1e-4
    )


@pytest.mark.eager
def test_few_rows_are_learnt(folder, tmp_path):
    keras.utils.set_random_seed(0)
    pattern = "[MASK]满意。{text}"
    task = PromptClassifier.from_checkpoint(folder, pattern=pattern, words=WORDS, mask_rate=0.05, maxlen=24)
    random = np.random.RandomState(0)
    rows = [
        ("".join(random.choice(list("这部电影太了物流"), 3)) + "快慢"[i % 2] * 3, ["好评", "差评"][i % 2])
        for i in range(64)
    ]
    x, y = task.collate(task.samples(task.read(read_rows(rows), True))[:8])
    hidden = x[-1]
    assert (hidden[:, 0] == 1).all() and set(y[:, 0]) == {TOKENS.index("很"), TOKENS.index("不")}
    assert (np.take_along_axis(x[0], hidden[:, :1], 1) == TOKENS.index("[MASK]")).all(), "the blank is always hidden"
    task.fit(rows, unlabelled=["物流很快", "电影好看"], epochs=20, batch_size=16, learning_rate=0.003, verbose=0)
    report = task.evaluate(rows)
    assert report.score >= 0.85
    task.save(tmp_path / "saved")
    again = load_task(tmp_path / "saved")
    texts = [text for text, _ in rows[:6]]
    np.testing.assert_allclose(again.log_probabilities(texts), task.log_probabilities(texts), atol=1e-4)
    with pytest.raises(RowError, match="label '中评' is none of the 2 labels"):
        task.fit([("好", "中评")])


def test_thresholds():
    """Blocks of len // C, the rest to the last class; a block's largest score belongs to the next class."""
    scores = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    found = Thresholds.fit(scores, "abc")
    assert found.values.tolist() == [0.2, 0.4]
    assert found.predict([0.1, 0.2, 0.39, 0.4, 0.9]) == ["a", "b", "b", "c", "c"]
    assert Thresholds.fit([0.5, 0.5, 0.5, 0.9], "ab").predict([0.4, 0.5]) == ["a", "b"], "equal scores go together"
    assert Thresholds.fit(scores, "ab", [1, 6]).values.tolist() == [0.1]
    with pytest.raises(ValueError, match="not 3 of 2"):
        Thresholds.fit([1, 2], "abc")


def test_soft_positions():
    """[CLS] candidate [SEP] ab#c [SEP]: the candidate of two tokens stands at the blank's 4 and 5."""
    assert soft_positions(2, 1, 2) == [0, 4, 5, 1, 2, 3, 6, 7]
    # [CLS] ab#c [SEP] candidate [SEP]
    assert soft_positions(2, 1, 2, candidate_first=False) == [0, 1, 2, 5, 6, 3, 4, 7]
    assert sorted(soft_positions(4, 3, 4)) == list(range(14)), "each position once"


def test_next_sentence(folder):
    scorer = NextSentenceScorer.from_checkpoint(folder, maxlen=24)
    model = build_transformer_model(folder, with_nsp=True)
    rows = [ops.convert_to_tensor([row], "int32") for row in scorer.tokenizer.encode("一则体育新闻", "物流快")]
    expected = float(ops.convert_to_numpy(model(rows))[0, 0])
    assert scorer.scores(["一则体育新闻"], ["物流快"])[0] == pytest.approx(expected, abs=1e-5)
    (one,) = scorer.classify(["物流快"], "一则{label}新闻", ["体育", "财经"])
    other = scorer.scores(["一则财经新闻"], ["物流快"])[0]
    assert one.probabilities["体育"] == pytest.approx(expected / (expected + other), abs=1e-5)
    found = scorer.choose("这部#idiom#太好看", ["电影", "新闻", "物流"])
    assert len(found) == 3 and len(set(found.tolist())) == 3
    with pytest.raises(ValueError, match="2 times, and should once"):
        scorer.choose("#idiom##idiom#", ["电影"])
    with pytest.raises(ValueError, match="head of next-sentence prediction"):
        NextSentenceScorer(build_transformer_model(folder, return_keras_model=False), scorer.tokenizer)
