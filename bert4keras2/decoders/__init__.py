"""Decoding: `Generator` with its caches, the classic decoders that scripts subclass, and samplers in NumPy."""

from bert4keras2.decoders.classic.autoregressive import AutoRegressiveDecoder
from bert4keras2.decoders.classic.filters import (
    min_p_filter,
    no_repeat_ngram,
    repetition_penalty,
    top_k_filter,
    top_p_filter,
)
from bert4keras2.decoders.classic.last_token import last_token
from bert4keras2.decoders.classic.viterbi import ViterbiDecoder
from bert4keras2.decoders.generator import Generation, Generator
from bert4keras2.decoders.uses.candidates import Choice, choose_candidate, substring_constraint
from bert4keras2.decoders.uses.dialogue import Dialogue, dialogue_prompt
from bert4keras2.decoders.uses.gibbs import gibbs_sample
from bert4keras2.decoders.uses.synonyms import gen_synonyms

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
