"""Labels told by a masked language model through a pattern: without training, and after a few rows (PET).

    python examples/task_prompting.py --checkpoint CHECKPOINT_FOLDER --pattern "[MASK]满意。{text}" \
        --words '{"Positive": "很", "Negative": "不"}' --train few.tsv --valid valid.tsv --unlabelled texts.txt

Files have a text and its label on each line, with a tab between. Without them it tells the topics of sample sentences
by the small model in the package, `tiny-zh`, and learns from four of each. The checkpoint has to have its head of
masked language modelling.
"""

import argparse
import json
from pathlib import Path

import bert4keras2.quiet  # noqa: F401 - before Keras: no start-up notes of TensorFlow
from bert4keras2.backend import set_seed
from bert4keras2.prompting import PromptClassifier
from bert4keras2.tasks import TextClassifier, read_rows

SAMPLES = Path(__file__).parent / "samples" / "topics.tsv"
PATTERN = "这是关于[MASK][MASK]的。{text}"
TOPICS = ("体育", "财经", "科技", "娱乐", "教育", "美食", "旅行", "健康")


def load_samples(few):
    """Return a few labelled rows of each topic, 128 others, and texts whose labels are not looked at."""
    lines = [line.split("\t") for line in SAMPLES.read_text(encoding="utf-8").splitlines() if line]
    rows = [(text, label) for label, text in lines]  # each eight lines hold each topic once
    return rows[: 8 * few], rows[512:], [text for text, _ in rows[8 * few : 8 * few + 160]]


def load_file(path):
    """Return (text, label) rows of a file."""
    return [(row["text"], row["label"]) for row in read_rows(path, {"text": 0, "label": 1})]


def main():
    """Print accuracies without training, after few rows, and of a head that learnt from the same rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", default="tiny-zh", help="folder of a pre-trained checkpoint")
    parser.add_argument("--pattern", default=PATTERN)
    parser.add_argument(
        "--words", type=json.loads, default={topic: topic for topic in TOPICS}, help="JSON: {label: word}"
    )
    parser.add_argument("--train", help="file of labelled rows")
    parser.add_argument("--valid", help="file of labelled rows to evaluate on")
    parser.add_argument("--unlabelled", help="file with a text on each line")
    parser.add_argument("--few", type=int, default=4, help="sample rows of each topic to learn from")
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()

    set_seed(42)
    train, valid, texts = load_samples(args.few)
    if args.train:
        train, valid = load_file(args.train), load_file(args.valid or args.train)
        texts = Path(args.unlabelled).read_text(encoding="utf-8").split("\n") if args.unlabelled else []
    task = PromptClassifier.from_checkpoint(args.checkpoint, pattern=args.pattern, words=args.words, maxlen=64)
    print(f"zero-shot: accuracy {task.evaluate(valid).score:.3f} of {len(valid)} rows")
    task.fit(train, epochs=args.epochs, batch_size=16, verbose=0)
    print(f"{len(train)} rows: accuracy {task.evaluate(valid).score:.3f}")
    task = PromptClassifier.from_checkpoint(args.checkpoint, pattern=args.pattern, words=args.words, maxlen=64)
    unlabelled = [text for text in texts if text.strip()]
    task.fit(train, unlabelled=unlabelled, epochs=args.epochs, batch_size=16, verbose=0)
    print(f"{len(train)} rows and {len(unlabelled)} texts: accuracy {task.evaluate(valid).score:.3f}")
    head = TextClassifier.from_checkpoint(args.checkpoint, labels=list(args.words), maxlen=64)
    head.fit(train, epochs=args.epochs, batch_size=16, verbose=0)
    print(f"{len(train)} rows by a new head: accuracy {head.evaluate(valid).score:.3f}")


if __name__ == "__main__":
    main()
