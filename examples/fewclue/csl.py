"""FewCLUE csl: are these the keywords of the abstract, or is one of them forged?

python examples/fewclue/csl.py --data-dir DATA/csl --checkpoint CHECKPOINT_FOLDER
"""

from common import few_shot

if __name__ == "__main__":
    few_shot("csl", __doc__, lambda row: (row.text, row.joined()), order=["0", "1"], maxlen=256)
