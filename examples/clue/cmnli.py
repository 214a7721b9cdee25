"""CLUE cmnli: what follows from a sentence, contradicts it, or neither; translated from English.

python examples/clue/cmnli.py --data-dir DATA/cmnli --checkpoint CHECKPOINT_FOLDER
"""

from common import classify

if __name__ == "__main__":
    classify("cmnli", __doc__, lambda row: (row.first, row.second))
