"""Prompting: labels as words of a pattern, and as sentences that follow a text."""

from bert4keras2.prompting.classifier import PromptClassifier
from bert4keras2.prompting.next_sentence import NextSentenceScorer, soft_positions
from bert4keras2.prompting.pattern import Pattern, Verbalizer
from bert4keras2.prompting.thresholds import Thresholds

__all__ = ["NextSentenceScorer", "Pattern", "PromptClassifier", "Thresholds", "Verbalizer", "soft_positions"]
