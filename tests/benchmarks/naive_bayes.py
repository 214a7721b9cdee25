"""What the example of classification has to beat: add-one naive Bayes on characters and bigrams, on the same split.

    python tests/benchmarks/naive_bayes.py

Needs scikit-learn.
"""

from __future__ import annotations

import runpy
from pathlib import Path

from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

EXAMPLE = Path(__file__).parents[2] / "examples" / "basic_classification.py"


def main() -> None:
    """Print the accuracy on the held-out sentences."""
    train, valid, test, _ = runpy.run_path(str(EXAMPLE))["embedded_data"]()
    model = make_pipeline(CountVectorizer(analyzer="char", ngram_range=(1, 2)), MultinomialNB(alpha=1.0))
    for rows, words in ((train, "the rows that the example trains on"), (train + valid, "those it chooses by, too")):
        model.fit([text for text, *_ in rows], [label for _, label, _ in rows])
        score = model.score([text for text, *_ in test], [label for _, label, _ in test])
        print(f"held-out accuracy {score:.4f} after {len(rows)} sentences ({words})")


if __name__ == "__main__":
    main()
