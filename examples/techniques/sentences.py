"""Rows of the evidence table: sentence vectors, Spearman's correlation on five data sets of pairs.

Nothing to be run by itself: `python examples/techniques/run.py --only STS-B` runs what stands here.
"""

import random

from common import Clock, Row, pairs, register

from bert4keras2.backend import set_seed
from bert4keras2.embeddings import GroupRows
from bert4keras2.optimizers import Adam
from bert4keras2.tasks import TextMatcher
from bert4keras2.training import esimcse, simcse

SETS = ("STS-B", "LCQMC", "BUSTM", "AFQMC", "PAWS-X")
TEXTS = 5000  # half of kexue.fm/archives/8348's
PAIRS = 6000  # with labels
RATE = 5e-5


def matcher(settings, **options):
    """Return the task on the checkpoint."""
    set_seed(settings.seed)
    return TextMatcher.from_checkpoint(settings.checkpoint, prefix=settings.prefix, **options)


def texts_of(settings, name):
    """Return texts of both splits without labels, in the seed's order."""
    found = [text for split in ("train", "test") for pair in pairs(settings, name, split) for text in pair[:2]]
    found = list(dict.fromkeys(found))
    random.Random(settings.seed).shuffle(found)
    return found[:TEXTS]


def score(task, settings, name):
    """Return Spearman's correlation on the test split."""
    return task.evaluate(pairs(settings, name, "test"), progress=False).score


def raw(name):
    """Return the run of vectors as they are."""
    return lambda settings: {"score": score(matcher(settings), settings, name)}


def whitened(name):
    """Return the run of vectors whose first half of principal axes is whitened."""

    def run(settings):
        task = matcher(settings)
        texts = texts_of(settings, name)
        task.encoder.fit_whitening(texts, k=min(task.encoder.dimension // 2, len(texts) // 2), progress=False)
        return {"score": score(task, settings, name)}

    return run


def unsupervised(name, queue):
    """Return the run of SimCSE, or with a queue of ESimCSE."""

    def run(settings):
        task = matcher(settings, dropout_rate=0.1)
        repeat = 0.32 if queue else 0.0
        batches = GroupRows(task.encoder, texts_of(settings, name), batch_size=64, repeat=repeat, seed=settings.seed)
        model, clock = (esimcse(task.encoder.model, queue) if queue else task.encoder.model), Clock()
        model.compile(Adam(RATE), None if queue else simcse())
        model.fit(batches, epochs=1, callbacks=[clock], verbose=0)
        return {"score": score(task, settings, name), "step_ms": clock.milliseconds}

    return run


def supervised(name):
    """Return the run of CoSENT on the training split."""

    def run(settings):
        task, clock = matcher(settings, objective="cosent"), Clock()
        train = pairs(settings, name, "train")
        random.Random(settings.seed).shuffle(train)
        train = train[:PAIRS]
        task.fit(train, epochs=5, batch_size=32, callbacks=[clock], verbose=0)
        return {"score": score(task, settings, name), "step_ms": clock.milliseconds, "rows": len(train)}

    return run


for dataset in SETS:
    label = f"{dataset}, Spearman"
    register(
        Row(label, "vectors as they are", raw(dataset), seeds=1),
        Row(label, "whitening, half of the axes", whitened(dataset), "vectors as they are", seeds=1),
        Row(label, "SimCSE", unsupervised(dataset, 0), "vectors as they are"),
        Row(label, "ESimCSE", unsupervised(dataset, 160), "vectors as they are"),
        Row(label, "CoSENT, with labels", supervised(dataset), "vectors as they are"),
    )
