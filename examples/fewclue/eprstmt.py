"""FewCLUE eprstmt: is the review of a product good or bad?

python examples/fewclue/eprstmt.py --data-dir DATA/eprstmt --checkpoint CHECKPOINT_FOLDER
"""

from common import few_shot

MEANINGS = {"Positive": "质量很好，非常满意，推荐购买", "Negative": "质量太差，非常失望，后悔购买"}

if __name__ == "__main__":
    few_shot("eprstmt", __doc__, lambda row: row.text, MEANINGS)
