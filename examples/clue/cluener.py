"""CLUE cluener: entities of ten types in short texts, found by GlobalPointer, or by --head crf and others.

python examples/clue/cluener.py --data-dir DATA/cluener --checkpoint CHECKPOINT_FOLDER
"""

import re

from common import build, finish, start, training

from bert4keras2.tasks import EntityTagger


def known_entities(clue, train, valid):
    """Return the score of finding what the training set calls an entity wherever it stands, and words for it."""
    types = {row.text[start:end]: kind for row in train for start, end, kind in row.spans}
    pattern = re.compile("|".join(map(re.escape, sorted(types, key=len, reverse=True))))
    found = [[(*match.span(), types[match[0]]) for match in pattern.finditer(row.text)] for row in valid]
    return clue.score(valid, found)["score"], "entities of the training set, looked up"


def main():
    """Train, print the score of the development set, write the predict file."""
    tiny = {"head": "softmax", "epochs": 8, "batch_size": 4, "learning_rate": 1e-3}  # pointers need more rows
    clue, args = start("cluener", __doc__, maxlen=256, head="global_pointer", tiny=tiny)
    train, valid = clue.load(args.data_dir, "train"), clue.load(args.data_dir, "valid")
    task = build(EntityTagger, args, labels=clue.label_names, head=args.head)

    def predict(rows):
        return [[entity[:3] for entity in found] for found in task.predict([row.text for row in rows])]

    fit, held = ([(row.text, row.spans) for row in rows] for rows in (train, valid))
    task.fit(fit, validation=held, **training(args))
    finish(clue, args, valid, predict, known_entities(clue, train, valid))


if __name__ == "__main__":
    main()
