"""CLUE cmrc2018: the piece of a text that answers a question; long texts are read in windows.

python examples/clue/cmrc2018.py --data-dir DATA/cmrc2018 --checkpoint CHECKPOINT_FOLDER
"""

import re

from common import build, finish, start, training

from bert4keras2.tasks import SpanReader


def nearest_sentence(clue, valid):
    """Return the score of answering with the part of a sentence that is most like the question, and words for it."""
    parts = [[part for part in re.split("[，。；！？]", row.context) if part] for row in valid]
    found = [
        max(own, key=lambda part: len(set(part) & set(row.question)) / len(set(part)) ** 0.5)
        for own, row in zip(parts, valid, strict=True)
    ]
    return clue.score(valid, found)["score"], "the part of a sentence most like the question"


def main():
    """Train, print the score of the development set, write the predict file."""
    tiny = {"head": "start_end", "batch_size": 8, "epochs": 10, "learning_rate": 1e-3}  # pointers need more rows
    usual = {"batch_size": 16, "accumulate": 2, "maxlen": 512, "head": "global_pointer"}
    clue, args = start("cmrc2018", __doc__, **usual, tiny=tiny)
    train, valid = clue.load(args.data_dir, "train"), clue.load(args.data_dir, "valid")
    task = build(SpanReader, args, head=args.head, stride=128, no_answer=False)

    def predict(rows):
        return [found.text for found in task.predict([(row.context, row.question) for row in rows])]

    def answered(rows):
        """Return the rows whose answers stand in the text; a few of the official ones are in their writers' words."""
        places = ([(answer.start, answer.text) for answer in row.answers if answer.start is not None] for row in rows)
        return [(row.context, row.question, own) for row, own in zip(rows, places, strict=True) if own]

    task.fit(answered(train), validation=answered(valid), **training(args))
    finish(clue, args, valid, predict, nearest_sentence(clue, valid))


if __name__ == "__main__":
    main()
