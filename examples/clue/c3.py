"""CLUE c3: which of two to four choices answers a question about a dialogue or a text.

python examples/clue/c3.py --data-dir DATA/c3 --checkpoint CHECKPOINT_FOLDER
"""

from common import build, chance, finish, start, training

from bert4keras2.tasks import MultipleChoice


def main():
    """Train, print the score of the development set, write the predict file."""
    tiny = {"pooling": "cls", "batch_size": 4, "epochs": 6, "learning_rate": 3e-4}
    clue, args = start("c3", __doc__, batch_size=4, accumulate=4, maxlen=512, tiny=tiny)
    train, valid = clue.load(args.data_dir, "train"), clue.load(args.data_dir, "valid")
    task = build(MultipleChoice, args, pooling=args.pooling)

    def asked(row):
        return "||".join(row.passage), row.question, list(row.choices)

    def predict(rows):
        return [found.index for found in task.predict([asked(row) for row in rows])]

    fit, held = ([(*asked(row), row.answer) for row in rows] for rows in (train, valid))
    task.fit(fit, validation=held, **training(args))
    finish(clue, args, valid, predict, chance(valid, lambda row: row.choices))


if __name__ == "__main__":
    main()
