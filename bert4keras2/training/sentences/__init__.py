"""Losses and objectives by which vectors of texts are learnt."""

from bert4keras2.training.sentences.contrastive import in_batch_contrastive, simcse, triplet
from bert4keras2.training.sentences.cosent import cosent
from bert4keras2.training.sentences.matryoshka import matryoshka
from bert4keras2.training.sentences.momentum import esimcse
from bert4keras2.training.sentences.roformer_sim import (
    group_crossentropy,
    pair_classifier,
    similarity_distillation,
)
from bert4keras2.training.sentences.simbert import seq2seq_crossentropy, seq2seq_rows, simbert
from bert4keras2.training.sentences.views import hide_tokens, repeat_tokens

__all__ = [
    "cosent",
    "esimcse",
    "group_crossentropy",
    "hide_tokens",
    "in_batch_contrastive",
    "matryoshka",
    "pair_classifier",
    "repeat_tokens",
    "seq2seq_crossentropy",
    "seq2seq_rows",
    "similarity_distillation",
    "simbert",
    "simcse",
    "triplet",
]
