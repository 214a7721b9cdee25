"""FewCLUE csldcp: which of 67 disciplines an abstract belongs to.

python examples/fewclue/csldcp.py --data-dir DATA/csldcp --checkpoint CHECKPOINT_FOLDER
"""

from common import few_shot

if __name__ == "__main__":
    few_shot("csldcp", __doc__, lambda row: row.text, maxlen=128)
