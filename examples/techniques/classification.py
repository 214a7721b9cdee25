"""Rows of the evidence table: short news in 15 classes from 1,185 rows, and reviews from one row in a hundred.

Nothing to be run by itself: `python examples/techniques/run.py --only TNEWS-few reviews` runs what stands here. All
rows have the same model, head, batches and number of steps; each group of techniques has the usual rate of its kind.
"""

import math
import random

from common import Clock, Row, json_lines, register, table

from bert4keras2.backend import set_seed
from bert4keras2.callbacks import EMA
from bert4keras2.models import build_transformer_model
from bert4keras2.optimizers import Adam, Lion, PiecewiseLinear, Tiger
from bert4keras2.tasks import TextClassifier
from bert4keras2.tasks.rows.values import rows_of
from bert4keras2.training import (
    adapters,
    adversarial_training,
    bitfit,
    child_tuning,
    find_child,
    gradient_penalty,
    ladder_side_tuning,
    layerwise_decay,
    lora,
    mixup,
    prefix_tuning,
    r_drop,
    virtual_adversarial_training,
)  # fmt: skip

NEWS, REVIEWS = "TNEWS-few, accuracy", "reviews with 1 % of the labels, accuracy"
EPOCHS, BATCH, RATE, WARMUP = 6, 32, 3e-4, 0.1
EMBEDDING, TOTAL = "Embedding-Token", 37 * EPOCHS


def news(settings, split):
    """Return (text, label) rows of FewCLUE's TNEWS."""
    return [(row["sentence"], row["label_desc"]) for row in json_lines(settings, "fewclue", "tnews", f"{split}.json")]


def reviews(settings, split):
    """Return (text, label) rows of reviews."""
    return [(row[0], row[1]) for row in table(settings, "sentiment", f"sentiment.{split}.data")]


def schedule(rate):
    """Return a rate that rises for a tenth of the steps and falls to 0."""
    return PiecewiseLinear(rate, {round(WARMUP * TOTAL): 1, TOTAL: 0})


def classifier(settings, labels, dropout=0.1, ladder=False):
    """Return the task on the checkpoint; with a ladder beside it, on that."""
    set_seed(settings.seed)
    options = {"dropout_rate": dropout, "attention_dropout_rate": dropout}
    if not ladder:
        return TextClassifier.from_checkpoint(settings.checkpoint, labels=labels, pooling="mean", maxlen=64, **options)
    task = TextClassifier.from_checkpoint(settings.checkpoint, labels=labels, pooling="mean", maxlen=64)
    encoder = build_transformer_model(settings.checkpoint, return_keras_model=False, **options)
    narrow = ladder_side_tuning(encoder, width_factor=4)
    return TextClassifier(narrow, task.tokenizer, labels=labels, pooling="mean", maxlen=64)


def fitted(settings, task, train, test, techniques, epochs, rate=RATE, optimizer=None, callbacks=()):
    """Train and evaluate; techniques are functions of the model, the task and the rows."""
    clock = Clock()
    given = {"learning_rate": rate} if optimizer is None else {"optimizer": optimizer()}
    bound = [lambda model, one=one: one(model, task, train) for one in techniques]
    watching = [clock, *(make() for make in callbacks)]
    task.fit(train, epochs=epochs, batch_size=BATCH, techniques=bound, callbacks=watching, verbose=0, **given)
    learning = sum(math.prod(variable.shape) for variable in task.model.trainable_variables)
    score = task.evaluate(test, progress=False).score
    return {"score": score, "step_ms": clock.milliseconds, "learning": learning}


def on_news(*techniques, dropout=0.1, ladder=False, **options):
    """Return the run of techniques on the news."""

    def run(settings):
        train = news(settings, "train_few_all")
        task = classifier(settings, sorted({label for _, label in train}), dropout, ladder)
        return fitted(settings, task, train, news(settings, "test_public"), techniques, EPOCHS, **options)

    return run


def child(mode):
    """Return a technique that lets a part of the weights learn; mode D looks at the rows for it."""

    def technique(model, task, rows):
        model.optimizer = child_tuning(model.optimizer, mode)
        if mode != "F":
            samples = task.samples(task.read(rows_of(rows), learn=True))
            find_child(model, (task.collate(samples[k : k + 16]) for k in range(0, len(samples), 16)))

    return technique


def on_reviews(technique=None):
    """Return the run of a technique that may learn from the texts of all rows, and the labels of a hundredth."""

    def run(settings):
        rows = reviews(settings, "train")
        random.Random(settings.seed).shuffle(rows)
        few, others = rows[: len(rows) // 100], rows[len(rows) // 100 :]
        task = classifier(settings, ["0", "1"])

        def texts():
            while True:
                for k in range(0, len(others) - BATCH, BATCH):
                    ids, segments = task.tokenizer.encode_batch([text for text, _ in others[k : k + BATCH]], maxlen=64)
                    yield [ids, segments][: len(task.model.inputs)]

        made = [] if technique is None else [lambda model, task, rows: technique(model, texts())]
        return fitted(settings, task, few, reviews(settings, "test"), made, 20)

    return run


def of_model(function, *args, **options):
    """Return a technique that looks at the model alone."""
    return lambda model, task, rows: function(model, *args, **options)


PLAIN = "fine-tuning"
TECHNIQUES = {
    PLAIN: on_news(),
    "no dropout": on_news(dropout=0.0),
    "FGM, 0.5": on_news(of_model(adversarial_training, EMBEDDING, 0.5)),
    "gradient penalty, 1": on_news(of_model(gradient_penalty, EMBEDDING, 1.0)),
    "R-Drop, 4": on_news(of_model(r_drop, 4.0)),
    "mixup, 0.2": on_news(of_model(mixup, EMBEDDING, alpha=0.2)),
    "EMA, 0.98": on_news(callbacks=[lambda: EMA(0.98)]),
    "layer-wise decay, 0.9": on_news(of_model(layerwise_decay, 0.9)),
    "ChildTuning-F, 0.3": on_news(child("F")),
    "ChildTuning-D, 0.3": on_news(child("D")),
    "LoRA, rank 2": on_news(of_model(lora, rank=2), rate=2e-3),
    "LoRA, rank 8": on_news(of_model(lora, rank=8), rate=2e-3),
    "adapters, 64": on_news(of_model(adapters, 64), rate=2e-3),
    "BitFit": on_news(of_model(bitfit), rate=2e-3),
    "prefix tuning, 20": on_news(of_model(prefix_tuning, 20), rate=5e-3),
    "ladder side tuning, 4": on_news(ladder=True, rate=3e-3),
    "Lion at a fifth of the rate": on_news(optimizer=lambda: Lion(schedule(RATE / 5))),
    # Its rates are shares of the weights' size, as LAMB's are.
    "Tiger, 1e-3": on_news(optimizer=lambda: Tiger(schedule(1e-3))),
}
register(*(Row(NEWS, name, run, None if name == PLAIN else PLAIN) for name, run in TECHNIQUES.items()))
register(
    Row(REVIEWS, PLAIN, on_reviews()),
    Row(
        REVIEWS,
        "virtual adversarial training",
        on_reviews(
            lambda model, texts: virtual_adversarial_training(
                model, EMBEDDING, unlabelled=texts, optimizer=Adam(1e-5), from_logits=False
            )
        ),
        PLAIN,
    ),
    Row(
        REVIEWS,
        "R-Drop, of unlabelled texts too",
        on_reviews(lambda model, texts: r_drop(model, 4.0, unlabelled=texts, optimizer=Adam(1e-5))),
        PLAIN,
    ),
)
