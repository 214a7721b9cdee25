"""CLUE afqmc: whether two questions to a bank ask the same.

python examples/clue/afqmc.py --data-dir DATA/afqmc --checkpoint CHECKPOINT_FOLDER
"""

from common import classify

if __name__ == "__main__":
    classify("afqmc", __doc__, lambda row: (row.first, row.second))
