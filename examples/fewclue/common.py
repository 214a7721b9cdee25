"""What the scripts of FewCLUE share: fine-tuning on a few dozen rows, and answers that need no row at all."""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.backend import set_seed
from bert4keras2.clue import get_task
from bert4keras2.embeddings import SentenceEncoder
from bert4keras2.files import write_text
from bert4keras2.metrics import reached_by_luck
from bert4keras2.models import build_transformer_model
from bert4keras2.tasks import MultipleChoice, TextClassifier
from bert4keras2.tokenizers import load_tokenizer

SAMPLES = Path(__file__).parent.parent / "samples" / "fewclue"
METHODS = ("fine-tune", "zero-shot")


def start(name, doc, epochs=10, maxlen=128):
    """Return a task of FewCLUE and the arguments of its script."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="tiny-zh", help="folder or name of a pre-trained model")
    parser.add_argument("--data-dir", default=str(SAMPLES / name), help="the task's folder (default: the samples)")
    parser.add_argument(
        "--output", default="fewclue_output", help="folder of what is written (default: fewclue_output)"
    )
    parser.add_argument("--method", nargs="+", choices=METHODS, default=METHODS, help="(default: both)")
    parser.add_argument("--model", help="family of the checkpoint, if its files do not say it")
    parser.add_argument("--prefix", default="", help='put before each text, such as "query: " for E5 models')
    parser.add_argument("--pooling", default="mean", help="vector of a text: cls, mean, first-last (default: mean)")
    parser.add_argument("--maxlen", type=int, default=maxlen, help=f"longest text, in tokens (default: {maxlen})")
    parser.add_argument("--epochs", type=int, default=epochs, help=f"passes over the rows (default: {epochs})")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, help="(default: a usual one for the model's width)")
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args()
    args.encoder = {"maxlen": args.maxlen, "prefix": args.prefix, "pooling": args.pooling}
    if args.model:
        args.encoder["model"] = args.model
    args.start = time.perf_counter()
    set_seed(args.seed)
    return get_task(f"fewclue/{name}"), args


def few_shot(name, doc, texts, descriptions=None, order=None, **options):
    """Fine-tune a classifier on the few rows, and answer without any; print both scores on the public test set.

    Args:
        name, doc, options: as for `start`.
        texts: a function of a row that returns its text, or its two texts.
        descriptions: {label: a text that says what the label means}; without rows, a text gets the label whose
            description is nearest to it. If None, the name of the label.
        order: of pairs, the labels from the least to the most similar: without rows, pairs are sorted by the cosine of
            their two texts and parted into equal shares.
    """
    clue, args = start(name, doc, **options)
    test = clue.load(args.data_dir, "test_public")
    scores = {}
    if "fine-tune" in args.method:
        train, valid = (clue.load(args.data_dir, split) for split in ("train", "valid"))
        rows = [[(*_pair(texts(row)), row.label) for row in part] for part in (train, valid)]
        task = TextClassifier.from_checkpoint(args.checkpoint, labels=clue.label_names, **args.encoder)
        fit(task, rows, args)
        found = task.predict([texts(row) for row in test])
        scores["fine-tune"] = clue.score(test, [one.label for one in found])["score"]
    if "zero-shot" in args.method:
        encoder = SentenceEncoder.load(args.checkpoint, **args.encoder)
        found = sorted_pairs(encoder, [texts(row) for row in test], order) if order else None
        if found is None:
            meanings = descriptions or {label: clue.labels.get(label, label) for label in clue.label_names}
            found = nearest(encoder, [texts(row) for row in test], meanings)
        scores["zero-shot"] = clue.score(test, found)["score"]
    finish(clue, args, scores, len(test), 1 / len({row.label for row in test}))


def _pair(texts):
    return (texts,) if isinstance(texts, str) else tuple(texts)


def fit(task, rows, args):
    """Train on the first part of the rows, and keep the epoch that is best on the second."""
    rate = args.learning_rate or (1e-3 if args.checkpoint == "tiny-zh" else None)
    options = {"epochs": args.epochs, "batch_size": args.batch_size, "learning_rate": rate, "verbose": 2}
    task.fit(rows[0], validation=rows[1], **options)


def nearest(encoder, texts, meanings):
    """Return the label of each text whose meaning is nearest to it, by the cosine of their vectors."""
    labels = list(meanings)
    vectors, wanted = encoder.encode(texts), encoder.encode([meanings[label] for label in labels])
    # What all texts have in common tells nothing of their differences.
    return [labels[place] for place in ((vectors - vectors.mean(0)) @ (wanted - wanted.mean(0)).T).argmax(1)]


def sorted_pairs(encoder, pairs, order):
    """Return a label for each pair: equal shares of them, by the cosine of the two texts."""
    first, second = (encoder.encode(list(side)) for side in zip(*pairs, strict=True))
    places = (first * second).sum(1).argsort().argsort()
    return [order[place * len(order) // len(pairs)] for place in places]


def fill_idioms(name, doc, blank, **options):
    """Fine-tune on idioms and their blanks, and fill them in without rows, by the words that a model expects there.

    Args:
        name, doc, options: as for `start`.
        blank: what stands for the blank in the text that is fine-tuned on.
    """
    clue, args = start(name, doc, **options)
    test = clue.load(args.data_dir, "test_public")
    scores = {}
    if "fine-tune" in args.method:
        rows = [
            [
                (row.before + blank + row.after, list(row.candidates), row.answer)
                for row in clue.load(args.data_dir, split)
            ]
            for split in ("train", "valid")
        ]
        task = MultipleChoice.from_checkpoint(args.checkpoint, **args.encoder)
        fit(task, rows, args)
        found = task.predict([(row.before + blank + row.after, list(row.candidates)) for row in test])
        scores["fine-tune"] = clue.score(test, [one.index for one in found])["score"]
    if "zero-shot" in args.method:
        scores["zero-shot"] = clue.score(test, expected(args, test))["score"]
    finish(clue, args, scores, len(test), 1 / len(test[0].candidates))


def expected(args, rows):
    """Return the candidate of each row whose tokens a masked language model expects most in place of the blank."""
    tokenizer = load_tokenizer(args.checkpoint)
    options = {"model": args.model} if args.model else {}
    model = build_transformer_model(args.checkpoint, with_mlm=True, **options)
    mask, answers = tokenizer._token_mask_id, []
    for row in rows:
        scores = []
        for candidate in row.candidates:
            own = tokenizer.encode(candidate)[0][1:-1]
            # The words next to the blank matter most: both sides lose their far ends.
            side = (args.maxlen - len(own) - 2) // 2
            before, after = (tokenizer.encode(text)[0] for text in (row.before, row.after))
            left = [before[0], *before[1:-1][-side:]]
            ids = [*left, *[mask] * len(own), *after[1:-1][:side], after[-1]]
            inputs = [np.array([ids]), np.zeros((1, len(ids)), "int32")][: len(model.inputs)]
            found = np.log(model.predict(inputs, verbose=0)[0, len(left) : len(left) + len(own)] + 1e-12)
            scores.append(found[np.arange(len(own)), own].mean())
        answers.append(int(np.argmax(scores)))
    return answers


def finish(clue, args, scores, rows, chance):
    """Print the scores and write them."""
    luck = reached_by_luck(chance, rows)
    for method, score in scores.items():
        note = f"{rows} rows of the public test set; a guess: {chance:.4f}"
        note += "" if score >= luck else f"; below {luck:.4f} it may be luck"
        print(f"fewclue/{clue.name}: {method} {score:.4f} ({note})")
    figures = {"task": clue.name, **scores, "chance": chance, "rows": rows}
    figures["seconds"] = round(time.perf_counter() - args.start, 1)
    os.makedirs(args.output, exist_ok=True)
    write_text(os.path.join(args.output, f"{clue.name}.json"), json.dumps(figures) + "\n")
