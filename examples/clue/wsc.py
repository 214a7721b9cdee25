"""CLUE wsc: whether a pronoun means a noun; both are marked in the text.

python examples/clue/wsc.py --data-dir DATA/wsc --checkpoint CHECKPOINT_FOLDER
"""

from common import finish, majority, start, training

from bert4keras2.tasks import TextClassifier


def main():
    """Train, print the score of the development set, write the predict file."""
    clue, args = start("wsc", __doc__, epochs=30, tiny={"epochs": 10})
    train, valid = clue.load(args.data_dir, "train"), clue.load(args.data_dir, "valid")
    options = {"labels": clue.label_names, "pooling": args.pooling, **args.encoder}
    task = TextClassifier.from_checkpoint(args.checkpoint, **options)

    def predict(rows):
        return [found.label for found in task.predict([row.marked() for row in rows])]

    fit, held = ([(row.marked(), row.label) for row in rows] for rows in (train, valid))
    task.fit(fit, validation=held, **training(args))
    finish(clue, args, valid, predict, majority(train, valid))


if __name__ == "__main__":
    main()
