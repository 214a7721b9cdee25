"""Callbacks for `fit`."""

from bert4keras2.callbacks.evaluator import Evaluator
from bert4keras2.callbacks.resume import Resume

__all__ = ["Evaluator", "Resume"]
