"""What the scripts of CLUE share: arguments, the way of training, and what is printed and written at the end."""

import argparse
import json
import os
import time
from collections import Counter
from pathlib import Path

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.backend import keras, set_seed
from bert4keras2.clue import get_task
from bert4keras2.files import write_text
from bert4keras2.metrics import reached_by_luck
from bert4keras2.optimizers import AdaFactor
from bert4keras2.tasks import TextClassifier

SAMPLES = Path(__file__).parent.parent / "samples" / "clue"
TINY = "tiny-zh"
TINY_RATE = 5e-4


def start(name, doc, tiny, epochs=10, batch_size=32, accumulate=1, maxlen=128, head=None):
    """Return a task of CLUE and the arguments of its script.

    Args:
        name: of the task.
        doc: what `--help` says first.
        tiny: what is otherwise for the model in the package and the samples: {"epochs": ..., "batch_size": ...}.
        epochs, batch_size, accumulate, maxlen, head: as published for models of usual size; gradients of `accumulate`
            batches make one step.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default=TINY, help="folder or name of a pre-trained model (default: tiny-zh)")
    parser.add_argument("--random", action="store_true", help="the same model with random weights, to compare")
    parser.add_argument("--data-dir", default=str(SAMPLES / name), help="the task's folder (default: the samples)")
    parser.add_argument("--output", default="clue_output", help="folder of the predict file (default: clue_output)")
    parser.add_argument("--model", help="family of the checkpoint, if its files do not say it")
    parser.add_argument("--prefix", default="", help='put before each text, such as "query: " for E5 models')
    parser.add_argument(
        "--pooling", help="vector of a text: cls, mean, first-last, pooler (default: cls; tiny-zh: mean)"
    )
    if head:
        parser.add_argument("--head", help=f"of the task's class (default: {head})")
    parser.add_argument("--maxlen", type=int, help=f"longest text, in tokens (default: {maxlen})")
    parser.add_argument("--epochs", type=int, help=f"passes over the training set (default: {epochs})")
    parser.add_argument("--batch-size", type=int, help=f"rows of a batch (default: {batch_size})")
    parser.add_argument("--learning-rate", type=float, help="train by AdamW with this rate (default: AdaFactor)")
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args()
    given = {key: value for key, value in vars(args).items() if value is not None}
    usual = {"maxlen": maxlen, "epochs": epochs, "batch_size": batch_size, "accumulate": accumulate, "head": head}
    if Path(args.checkpoint).name == TINY:  # a small model takes larger steps, on few rows smaller batches
        usual |= {"pooling": "mean", "learning_rate": TINY_RATE, "batch_size": 16, "accumulate": 1, **tiny}
    args = argparse.Namespace(**{"pooling": "cls", "learning_rate": None, "model": None, **usual, **given})
    args.encoder = {"maxlen": args.maxlen, "prefix": args.prefix} | ({"model": args.model} if args.model else {})
    args.start = time.perf_counter()
    set_seed(args.seed)
    return get_task(name), args


def build(kind, args, **options):
    """Return a task of a class on the checkpoint, or with --random on the same model with weights drawn anew."""
    task = kind.from_checkpoint(args.checkpoint, **options, **args.encoder)
    if args.random:
        print("With --random: nothing of the checkpoint's weights is used.")
        task.model.set_weights(keras.models.clone_model(task.model).get_weights())
    return task


def classify(name, doc, texts, **options):
    """Train a classifier, print the score of the development set, write the predict file.

    Args:
        name, doc, options: as for `start`.
        texts: a function of a row of the task that returns its text, or its two texts.
    """
    clue, args = start(name, doc, tiny={"epochs": 10}, **options)
    train, valid = clue.load(args.data_dir, "train"), clue.load(args.data_dir, "valid")
    task = build(TextClassifier, args, labels=clue.label_names, pooling=args.pooling)

    def labelled(rows):
        return [(text, row.label) if isinstance(text := texts(row), str) else (*text, row.label) for row in rows]

    def predict(rows):
        return [found.label for found in task.predict([texts(row) for row in rows])]

    task.fit(labelled(train), validation=labelled(valid), **training(args))
    finish(clue, args, valid, predict, majority(train, valid))


def training(args):
    """Return the options of `fit`: AdaFactor as published for the suite (kexue.fm/archives/8739), or AdamW."""
    options = {"epochs": args.epochs, "batch_size": args.batch_size, "verbose": 2}
    if args.learning_rate:
        return {**options, "learning_rate": args.learning_rate}
    # Steps are scaled by the size of the weights, and second moments are kept whole.
    rest = {"gradient_accumulation_steps": args.accumulate} if args.accumulate > 1 else {}
    return {**options, "optimizer": AdaFactor(5e-4, beta1=0.9, min_dim_size_to_factor=10**6, **rest)}


def majority(train, valid):
    """Return the accuracy of always saying the training set's most frequent label, and words for it."""
    label = Counter(row.label for row in train).most_common(1)[0][0]
    return sum(row.label == label for row in valid) / len(valid), "the most frequent label"


def chance(valid, choices):
    """Return the expected accuracy of drawing one of each row's choices, and words for it."""
    return sum(1 / len(choices(row)) for row in valid) / len(valid), "a guess"


def finish(task, args, valid, predict, baseline):
    """Print the development set's score beside a baseline, write it and the predict files.

    Args:
        task, args: what `start` returned.
        valid: rows of the development set.
        predict: a function of rows that returns a prediction for each, as `task.score` takes them.
        baseline: (score, words) of an answer that needs no model.
    """
    figures = task.score(valid, predict(valid))
    score, (least, words) = figures["score"], baseline
    more = "".join(f", {name} {figures[name]:.4f}" for name in ("f1", "micro_f1") if figures.get(name, score) != score)
    print(f"{task.name}: dev score {score:.4f}{more} ({len(valid)} rows; {words}: {least:.4f})")
    luck = reached_by_luck(least, len(valid), args.epochs)
    if score < luck:
        of = f" the best of {args.epochs} epochs" if args.epochs > 1 else ""
        print(f"Below {luck:.4f}{of} may be luck on so few rows: nothing shows learning.")
    for output in task.outputs:  # the leaderboard wants the answers to each version of a test set
        paths = [os.path.join(args.data_dir, name) for name in output.tests]
        if (path := next(filter(os.path.isfile, paths), None)) is not None:
            test = task.read(path)
            print(f"predictions: {task.write(args.output, test, predict(test), version=output.version)}")
    figures = {"task": task.name, "score": score, "baseline": least, "luck": luck, "rows": len(valid)}
    figures["seconds"] = round(time.perf_counter() - args.start, 1)
    os.makedirs(args.output, exist_ok=True)
    write_text(os.path.join(args.output, f"{task.name}_dev.json"), json.dumps(figures) + "\n")
