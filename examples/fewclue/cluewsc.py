"""FewCLUE cluewsc: does the pronoun mean the noun?

python examples/fewclue/cluewsc.py --data-dir DATA/cluewsc --checkpoint CHECKPOINT_FOLDER
"""

from common import few_shot


def two_readings(row):
    """Return the text with both marked, and the text with the noun in place of the pronoun."""
    (start, end), (left, right) = row.noun, row.pronoun
    return row.marked(), row.text[:left] + row.text[start:end] + row.text[right:]


if __name__ == "__main__":
    few_shot("cluewsc", __doc__, two_readings, order=["false", "true"])
