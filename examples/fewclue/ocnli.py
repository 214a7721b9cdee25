"""FewCLUE ocnli: does the first sentence entail the second, contradict it, or neither?

python examples/fewclue/ocnli.py --data-dir DATA/ocnli --checkpoint CHECKPOINT_FOLDER
"""

from common import few_shot

if __name__ == "__main__":
    order = ["contradiction", "neutral", "entailment"]
    few_shot("ocnli", __doc__, lambda row: (row.first, row.second), order=order)
