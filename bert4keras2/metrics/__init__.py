"""Measures of predictions, in NumPy: classes, numbers, spans, answers, generated texts."""

from bert4keras2.metrics.classes import accuracy, best_threshold, confusion, macro_f1, matthews, multilabel_f1
from bert4keras2.metrics.luck import reached_by_luck
from bert4keras2.metrics.ranks import spearman
from bert4keras2.metrics.reading import reading_scores
from bert4keras2.metrics.spans import span_f1
from bert4keras2.metrics.texts import exact_match, rouge_l

__all__ = [
    "accuracy", "best_threshold", "confusion", "exact_match", "macro_f1", "matthews", "multilabel_f1",
    "reached_by_luck", "reading_scores", "rouge_l", "span_f1", "spearman",
]  # fmt: skip
