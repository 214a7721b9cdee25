"""Decoding: `Generator` with its caches, the classic decoders that scripts subclass, and samplers in NumPy."""

from bert4keras2.decoders.classic import AutoRegressiveDecoder
from bert4keras2.decoders.generator import Generation, Generator
from bert4keras2.decoders.last_position import last_token
from bert4keras2.decoders.samplers import (
    min_p_filter,
    no_repeat_ngram,
    repetition_penalty,
    top_k_filter,
    top_p_filter,
)
from bert4keras2.decoders.viterbi import ViterbiDecoder

__all__ = [
    "AutoRegressiveDecoder",
    "Generation",
    "Generator",
    "ViterbiDecoder",
    "last_token",
    "min_p_filter",
    "no_repeat_ngram",
    "repetition_penalty",
    "top_k_filter",
    "top_p_filter",
]
