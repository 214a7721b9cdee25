"""Rows of the evidence table: prompting on FewCLUE, accuracy on the public test sets.

Nothing to be run by itself: `python examples/techniques/run.py --only EPRSTMT` runs what stands here. The rows of next-
sentence prediction need a checkpoint with that head, which tiny-zh does not have.
"""

import itertools
import re

from common import Clock, Row, json_lines, register

from bert4keras2.backend import set_seed
from bert4keras2.metrics import accuracy
from bert4keras2.prompting import NextSentenceScorer, PromptClassifier, Thresholds
from bert4keras2.tasks import TextClassifier
from bert4keras2.tokenizers import load_tokenizer
from bert4keras2.training import p_tuning

UNLABELLED, PLACES = 2000, 6
NEWS = {
    "news_story": "故事", "news_culture": "文化", "news_entertainment": "娱乐", "news_sports": "体育",
    "news_finance": "财经", "news_house": "房产", "news_car": "汽车", "news_edu": "教育", "news_tech": "科技",
    "news_military": "军事", "news_travel": "旅游", "news_world": "国际", "news_stock": "股票",
    "news_agriculture": "农业", "news_game": "电竞",
}  # fmt: skip
# The name of the labels' field, the pattern, its words, the sentence of NSP-BERT and its words.
TASKS = {
    "EPRSTMT": ("label", "[MASK]满意。{text}", {"Positive": "很", "Negative": "不"}, "这次买的东西很{label}",
                {"Positive": "好", "Negative": "差"}),
    "TNEWS": ("label_desc", "下面报导一则[MASK][MASK]新闻。{text}", NEWS, "这是一则{label}新闻", NEWS),
}  # fmt: skip


def rows_of(settings, name, split):
    """Return (text, label) rows of a task."""
    found = json_lines(settings, "fewclue", name.lower(), f"{split}.json")
    return [(row["sentence"], row.get(TASKS[name][0], "")) for row in found]


def prompted(name, few, semi=False):
    """Return the run of PET: without training, with the few rows, with unlabelled texts besides."""

    def run(settings):
        set_seed(settings.seed)
        _, pattern, words, _, _ = TASKS[name]
        task, clock = PromptClassifier.from_checkpoint(settings.checkpoint, pattern=pattern, words=words), Clock()
        if few:
            texts = [text for text, _ in rows_of(settings, name, "unlabeled")[:UNLABELLED]] if semi else []
            train = rows_of(settings, name, "train_few_all")
            task.fit(train, unlabelled=texts, epochs=3 if semi else 10, batch_size=16, callbacks=[clock], verbose=0)
        report = task.evaluate(rows_of(settings, name, "test_public"))
        return {"score": report.score, "step_ms": clock.milliseconds}

    return run


def p_tuned(name):
    """Return the run of P-tuning: six rows of the embedding learn, the places of a template; nothing else does."""

    def run(settings):
        set_seed(settings.seed)
        _, pattern, words, _, _ = TASKS[name]
        tokenizer, clock = load_tokenizer(settings.checkpoint), Clock()
        # Characters that texts hardly hold, since not every vocabulary has [unused1].
        tokens = (tokenizer.id_to_token(id) for id in reversed(range(tokenizer.vocab_size)))
        rare = list(itertools.islice((token for token in tokens if re.fullmatch("[一-鿿]", token)), PLACES))
        blanks = "[MASK]" * pattern.count("[MASK]")
        template = "".join(rare[: PLACES // 2]) + blanks + "".join(rare[PLACES // 2 :]) + "{text}"
        task = PromptClassifier.from_checkpoint(settings.checkpoint, pattern=template, words=words)
        rows = tokenizer.tokens_to_ids(rare)
        learning = {"learning_rate": 1e-2, "techniques": [lambda model: p_tuning(model, rows)], "callbacks": [clock]}
        task.fit(rows_of(settings, name, "train_few_all"), epochs=20, batch_size=16, verbose=0, **learning)
        return {"score": task.evaluate(rows_of(settings, name, "test_public")).score, "step_ms": clock.milliseconds}

    return run


def fine_tuned(name):
    """Return the run of a new head on the few rows."""

    def run(settings):
        set_seed(settings.seed)
        task, clock = TextClassifier.from_checkpoint(settings.checkpoint, labels=list(TASKS[name][2])), Clock()
        train = rows_of(settings, name, "train_few_all")
        task.fit(train, epochs=10, batch_size=16, callbacks=[clock], verbose=0)
        return {"score": task.evaluate(rows_of(settings, name, "test_public")).score, "step_ms": clock.milliseconds}

    return run


def next_sentence(name):
    """Return the run of NSP-BERT without training."""

    def run(settings):
        *_, template, words = TASKS[name]
        scorer = NextSentenceScorer.from_checkpoint(settings.checkpoint)
        test = rows_of(settings, name, "test_public")
        found = scorer.classify([text for text, _ in test], template, words)
        return {"score": accuracy([label for _, label in test], [one.label for one in found])}

    return run


def pairs_by_thresholds(settings):
    """Run NSP-BERT on BUSTM: scores of pairs, cut at what halves those of the development set."""
    scorer = NextSentenceScorer.from_checkpoint(settings.checkpoint)
    sides = []
    for split in ("dev_few_all", "test_public"):
        rows = json_lines(settings, "fewclue", "bustm", f"{split}.json")
        scores = scorer.scores([row["sentence2"] for row in rows], [row["sentence1"] for row in rows])
        sides.append((scores, [str(row["label"]) for row in rows]))
    found = Thresholds.fit(sides[0][0], ["0", "1"]).predict(sides[1][0])
    return {"score": accuracy(sides[1][1], found)}


for task_name in TASKS:
    label = f"{task_name}, accuracy"
    register(
        Row(label, "new head, few rows", fine_tuned(task_name)),
        Row(label, "PET, zero-shot", prompted(task_name, few=False), "new head, few rows", seeds=1),
        Row(label, "PET, few rows", prompted(task_name, few=True), "new head, few rows"),
        Row(label, "P-tuning, few rows", p_tuned(task_name), "new head, few rows"),
        Row(label, "PET, few rows and unlabelled", prompted(task_name, few=True, semi=True), "new head, few rows"),
        Row(label, "NSP-BERT, zero-shot", next_sentence(task_name), "new head, few rows", seeds=1),
    )
register(Row("BUSTM, accuracy", "NSP-BERT, zero-shot", pairs_by_thresholds, seeds=1))
