"""CLUE tnews: what a news headline is about; 15 classes. ../basic_classification.py does it in plain Keras.

python examples/clue/tnews.py --data-dir DATA/tnews --checkpoint CHECKPOINT_FOLDER
"""

from common import classify

if __name__ == "__main__":
    classify("tnews", __doc__, lambda row: row.text)
