"""CLUE chid: which of ten idioms fills a blank; no idiom fills two blanks of a line.

python examples/clue/chid.py --data-dir DATA/chid --checkpoint CHECKPOINT_FOLDER
"""

import numpy as np
from common import build, chance, finish, start, training

from bert4keras2.clue import decode_idioms
from bert4keras2.tasks import MultipleChoice

BLANK, OTHER = "[填空]", "____"  # the blank to be filled, and the other ones of a text


def around(row, size):
    """Return the text around a blank, of about `size` characters, with the blank in the middle where it is long."""
    before, after = (part.replace("#idiom#", OTHER) for part in (row.before, row.after))
    left = max(size // 2, size - len(after))
    return f"{before[-left:]}{BLANK}{after[: size - min(left, len(before))]}"


def main():
    """Train, print the score of the development set, write the predict file."""
    clue, args = start("chid", __doc__, epochs=5, batch_size=12, accumulate=2, maxlen=64, tiny={"epochs": 8})
    train, valid = clue.load(args.data_dir, "train"), clue.load(args.data_dir, "valid")
    task = build(MultipleChoice, args, pooling=args.pooling)

    def asked(row):
        return around(row, args.maxlen - 12), list(row.candidates)  # 12: an idiom, the blank, special tokens

    def predict(rows):
        found = task.predict([asked(row) for row in rows])
        return decode_idioms(rows, [np.log(np.maximum(one.probabilities, 1e-12)) for one in found])

    fit, held = ([(*asked(row), row.answer) for row in rows] for rows in (train, valid))
    task.fit(fit, validation=held, **training(args))
    finish(clue, args, valid, predict, chance(valid, lambda row: row.candidates))


if __name__ == "__main__":
    main()
