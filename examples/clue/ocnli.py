"""CLUE ocnli: what follows from a sentence, contradicts it, or neither; written in Chinese.

python examples/clue/ocnli.py --data-dir DATA/ocnli --checkpoint CHECKPOINT_FOLDER
"""

from common import classify

if __name__ == "__main__":
    classify("ocnli", __doc__, lambda row: (row.first, row.second))
