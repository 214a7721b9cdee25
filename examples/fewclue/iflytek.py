"""FewCLUE iflytek: what kind of app a description is of; 119 classes.

python examples/fewclue/iflytek.py --data-dir DATA/iflytek --checkpoint CHECKPOINT_FOLDER
"""

from common import few_shot

if __name__ == "__main__":
    few_shot("iflytek", __doc__, lambda row: row.text, maxlen=128)
