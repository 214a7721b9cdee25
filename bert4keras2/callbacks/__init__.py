"""Callbacks for `fit`."""

from bert4keras2.callbacks.averages import EMA, SWA
from bert4keras2.callbacks.evaluator import Evaluator
from bert4keras2.callbacks.resume import Resume

__all__ = ["EMA", "SWA", "Evaluator", "Resume"]
