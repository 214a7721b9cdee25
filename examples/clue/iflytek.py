"""CLUE iflytek: what kind of app a description is of; 119 classes.

python examples/clue/iflytek.py --data-dir DATA/iflytek --checkpoint CHECKPOINT_FOLDER
"""

from common import classify

if __name__ == "__main__":
    classify("iflytek", __doc__, lambda row: row.text)
