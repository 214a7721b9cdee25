"""Decoding: `Generator` with its caches, the classic decoders that scripts subclass, and samplers in NumPy."""

from bert4keras2.decoders.candidates import Choice, choose_candidate, substring_constraint
from bert4keras2.decoders.classic import AutoRegressiveDecoder
from bert4keras2.decoders.dialogue import Dialogue, dialogue_prompt
from bert4keras2.decoders.generator import Generation, Generator
from bert4keras2.decoders.gibbs import gibbs_sample
from bert4keras2.decoders.last_position import last_token
from bert4keras2.decoders.samplers import (
    min_p_filter,
    no_repeat_ngram,
    repetition_penalty,
    top_k_filter,
    top_p_filter,
)
from bert4keras2.decoders.synonyms import gen_synonyms
from bert4keras2.decoders.viterbi import ViterbiDecoder

__all__ = [
    "AutoRegressiveDecoder",
    "Choice",
    "Dialogue",
    "Generation",
    "Generator",
    "ViterbiDecoder",
    "choose_candidate",
    "dialogue_prompt",
    "gen_synonyms",
    "gibbs_sample",
    "last_token",
    "min_p_filter",
    "no_repeat_ngram",
    "repetition_penalty",
    "substring_constraint",
    "top_k_filter",
    "top_p_filter",
]
