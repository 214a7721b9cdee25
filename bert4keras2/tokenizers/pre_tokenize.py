"""Cutting text into words before WordPiece, for vocabularies that hold Chinese words (WoBERT and the like)."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["jieba_pre_tokenize"]


class _JiebaPreTokenizer:
    """Calls `jieba.cut`; a class, so that the tokenizer that holds it can be pickled."""

    def __init__(self, HMM: bool) -> None:
        self.HMM = HMM

    def __call__(self, text: str) -> list[str]:
        try:
            import jieba
        except ImportError as error:
            raise ImportError("pre_tokenize='jieba' needs the package jieba: pip install jieba") from error
        return jieba.lcut(text, HMM=self.HMM)


def jieba_pre_tokenize(HMM: bool = False) -> Callable[[str], list[str]]:
    """A function for `pre_tokenize=` that cuts Chinese text into words with jieba.

    Args:
        HMM: whether jieba may guess words that are not in its dictionary; the published word-based models were
            trained without.

    Returns:
        A picklable function from a text to its words. jieba is imported when it is first called.

    Raises:
        ImportError: (when called) jieba is not installed.
    """
    return _JiebaPreTokenizer(HMM)
