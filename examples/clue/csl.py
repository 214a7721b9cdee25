"""CLUE csl: whether all of some words are keywords of an abstract.

python examples/clue/csl.py --data-dir DATA/csl --checkpoint CHECKPOINT_FOLDER
"""

from common import classify

if __name__ == "__main__":
    classify("csl", __doc__, lambda row: (row.joined(), row.text))
