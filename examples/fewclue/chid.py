"""FewCLUE chid: which of seven idioms fills the blank?

python examples/fewclue/chid.py --data-dir DATA/chid --checkpoint CHECKPOINT_FOLDER
"""

from common import fill_idioms

if __name__ == "__main__":
    fill_idioms("chid", __doc__, blank="____")
