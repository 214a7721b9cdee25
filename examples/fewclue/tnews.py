"""FewCLUE tnews: what a news headline is about; 15 classes.

python examples/fewclue/tnews.py --data-dir DATA/tnews --checkpoint CHECKPOINT_FOLDER
"""

from common import few_shot

if __name__ == "__main__":
    few_shot("tnews", __doc__, lambda row: row.text, maxlen=64)
