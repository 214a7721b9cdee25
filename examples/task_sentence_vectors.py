"""Sentence vectors from labelled pairs, from pairs that belong together, or from texts alone: before and after.

    python examples/task_sentence_vectors.py --objective cosent --checkpoint CHECKPOINT_FOLDER \
        --train sts-b-train.txt --valid sts-b-test.txt --output FOLDER

Files have a text, a second one and a grade on each line, with tabs between. Without them there are 640 sample pairs of
sentences, which are graded by whether they are about the same topic; texts of the pairs that are evaluated are not
learnt from. Without --checkpoint it starts from the small model in the package, `tiny-zh`. The folder is one of
sentence-transformers.
"""

import argparse
import random
from pathlib import Path

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.backend import set_seed
from bert4keras2.embeddings import hard_negatives
from bert4keras2.tasks import TextMatcher, read_rows

SAMPLES = Path(__file__).parent / "samples" / "topics.tsv"


def sample_pairs(first, last, count):
    """Return (text, second text, 1 or 0) of sample sentences: half of the pairs share a topic."""
    rows = [line.split("\t") for line in SAMPLES.read_text(encoding="utf-8").splitlines() if line][first:last]
    draw, pairs = random.Random(0), []
    while len(pairs) < count:
        (topic, text), (other, second) = draw.sample(rows, 2)
        if (topic == other) == (len(pairs) % 2 == 0):
            pairs.append((text, second, int(topic == other)))
    return pairs


def file_pairs(path):
    """Return (text, second text, grade) rows of a file."""
    rows = read_rows(path, {"text": 0, "second": 1, "label": 2})
    return [(row["text"], row["second"], float(row["label"])) for row in rows]


def rows_of(pairs, objective, task):
    """Return what an objective learns from, made of graded pairs."""
    if objective == "cosent":
        return pairs
    if objective == "simcse":
        return [(text,) for text in dict.fromkeys(text for pair in pairs for text in pair[:2])]
    high = max(grade for _, _, grade in pairs)
    together = [(text, second) for text, second, grade in pairs if grade == high]
    if objective == "contrastive":
        return together
    return hard_negatives(task.encoder, together, skip=1)


def main():
    """Train, and print Spearman's correlation before and after."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objective", default="cosent", choices=["cosent", "contrastive", "simcse", "triplet"])
    parser.add_argument("--checkpoint", default="tiny-zh", help="folder of a pre-trained checkpoint")
    parser.add_argument("--pooling", default="mean", help="mean, cls, first-last...")
    parser.add_argument("--prefix", default="", help='put before each text, such as "query: " for E5 models')
    parser.add_argument("--train", help="file of graded pairs")
    parser.add_argument("--valid", help="file of graded pairs to evaluate on")
    parser.add_argument("--widths", type=int, nargs="*", help="numbers of which vectors serve by themselves too")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--output", help="folder for the trained encoder")
    args = parser.parse_args()

    set_seed(42)
    dropout = {"dropout_rate": 0.1} if args.objective == "simcse" else {}
    task = TextMatcher.from_checkpoint(
        args.checkpoint,
        objective=args.objective,
        pooling=args.pooling,
        prefix=args.prefix,
        widths=args.widths,
        **dropout,
    )
    train = file_pairs(args.train) if args.train else sample_pairs(0, 512, 640)
    valid = file_pairs(args.valid) if args.valid else sample_pairs(512, 640, 320)
    before = task.evaluate(valid)
    print(f"Before: Spearman {before.score:.4f} of {before.rows} pairs")
    rows = rows_of(train, args.objective, task)
    task.fit(rows, epochs=args.epochs, batch_size=args.batch_size, learning_rate=args.learning_rate)
    after = task.evaluate(valid)
    print(f"{args.objective} on {len(rows)} rows: Spearman {after.score:.4f}, {after.score - before.score:+.4f}")
    if args.output:
        task.save(args.output)
        print(f'SentenceEncoder.load("{args.output}") reads the encoder, load_task all of it')


if __name__ == "__main__":
    main()
