"""The scores that scripts ask for, for labels 0, 1, 2..."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["accuracy_score", "confusion_matrix", "f1_score", "matthews_corrcoef", "roc_auc_score"]


def accuracy_score(y_true: Sequence[int], y_pred: Sequence[int]) -> float:
    """Return the share of right answers."""
    return float(np.mean(np.asarray(y_true) == np.asarray(y_pred)))


def confusion_matrix(y_true: Sequence[int], y_pred: Sequence[int]) -> np.ndarray:
    """Return how often each pair (label, answer) comes."""
    true, pred = np.asarray(y_true), np.asarray(y_pred)
    labels = np.union1d(true, pred)
    return np.array([[np.sum((true == row) & (pred == column)) for column in labels] for row in labels])


def f1_score(y_true: Sequence[int], y_pred: Sequence[int], average: str = "binary", **kwargs: object) -> float:
    """Return F1 of label 1, or the mean over labels if average is "macro"."""
    true, pred = np.asarray(y_true), np.asarray(y_pred)
    labels = [1] if average == "binary" else np.union1d(true, pred)
    scores = [2 * np.sum((true == n) & (pred == n)) / max(np.sum(true == n) + np.sum(pred == n), 1) for n in labels]
    return float(np.mean(scores))


def matthews_corrcoef(y_true: Sequence[int], y_pred: Sequence[int]) -> float:
    """Return the correlation of two series of labels, 0 where one is constant."""
    true, pred = np.asarray(y_true, float), np.asarray(y_pred, float)
    return float(np.corrcoef(true, pred)[0, 1]) if true.std() and pred.std() else 0.0


def roc_auc_score(y_true: Sequence[int], y_score: Sequence[float]) -> float:
    """Return the share of pairs of labels 1 and 0 whose scores are in order, ties counted half."""
    true, score = np.asarray(y_true), np.asarray(y_score, float)
    above = score[true == 1][:, None] - score[true == 0][None]
    return float(np.mean((above > 0) + 0.5 * (above == 0)))
