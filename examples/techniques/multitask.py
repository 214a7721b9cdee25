"""Rows of the evidence table: two standards for the same pairs, by one model, two models, or one with a condition.

Nothing to be run by itself: `python examples/techniques/run.py --only "two standards"` runs what stands here. The loose
standard is the label of LCQMC; the strict one asks for as many shared characters besides.
"""

from common import Clock, Row, pairs, register

from bert4keras2.backend import set_seed
from bert4keras2.tasks import ConditionalClassifier
from bert4keras2.training import normalize_task_gradients

TASK, NAMES, SHARED, TRAIN = "two standards, macro F1", ["loose", "strict"], 0.7, 4000


def standards(settings, split):
    """Return (standard, text, second text, label) rows."""
    found = []
    for first, second, label in pairs(settings, "LCQMC", split)[:TRAIN]:
        shared = len(set(first) & set(second)) / max(len(set(first) | set(second)), 1)
        found += [("loose", first, second, int(label)), ("strict", first, second, int(label and shared >= SHARED))]
    return found


def trained(settings, names, rows, techniques=()):
    """Return a classifier of some tasks, and its clock."""
    task, clock = ConditionalClassifier.from_checkpoint(settings.checkpoint, labels=["0", "1"], tasks=names), Clock()
    task.fit(rows, epochs=2, batch_size=32, callbacks=[clock], techniques=techniques, verbose=0)
    return task, clock


def conditional(settings, techniques=()):
    """Run one model with a condition."""
    set_seed(settings.seed)
    task, clock = trained(settings, NAMES, standards(settings, "train"), techniques)
    return {"score": task.evaluate(standards(settings, "test")).score, "step_ms": clock.milliseconds}


def normalized(settings):
    """Run one model with a condition, whose tasks have gradients of one length."""
    return conditional(settings, [lambda model: normalize_task_gradients(model, 2)])


def without(settings):
    """Run one model that does not know which standard is asked for."""
    set_seed(settings.seed)
    task, clock = trained(settings, ["both"], [("both", *row[1:]) for row in standards(settings, "train")])
    test = standards(settings, "test")
    scores = [task.evaluate([("both", *row[1:]) for row in test if row[0] == name]).score for name in NAMES]
    return {"score": sum(scores) / 2, "step_ms": clock.milliseconds}


def separate(settings):
    """Run a model for each standard."""
    set_seed(settings.seed)
    scores = []
    for name in NAMES:
        own = [[row for row in standards(settings, split) if row[0] == name] for split in ("train", "test")]
        task, clock = trained(settings, [name], own[0])
        scores.append(task.evaluate(own[1]).score)
    return {"score": sum(scores) / 2, "step_ms": clock.milliseconds}


register(
    Row(TASK, "one model", without),
    Row(TASK, "two models", separate, "one model"),
    Row(TASK, "conditional layer normalization", conditional, "one model"),
    Row(TASK, "conditional, gradients of one length", normalized, "one model"),
)
