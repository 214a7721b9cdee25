"""CLUE wsc: whether a pronoun means a noun; both are marked in the text.

python examples/clue/wsc.py --data-dir DATA/wsc --checkpoint CHECKPOINT_FOLDER
"""

from common import classify

if __name__ == "__main__":
    classify("wsc", __doc__, lambda row: row.marked(), epochs=30)
