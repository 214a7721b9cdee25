"""FewCLUE bustm: do two things said to a voice assistant mean the same?

python examples/fewclue/bustm.py --data-dir DATA/bustm --checkpoint CHECKPOINT_FOLDER
"""

from common import few_shot

if __name__ == "__main__":
    few_shot("bustm", __doc__, lambda row: (row.first, row.second), order=["0", "1"], maxlen=64)
