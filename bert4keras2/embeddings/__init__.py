"""Sentence vectors: encode texts, compare, whiten and search them; batches and hard negatives to train on."""

from bert4keras2.embeddings.compare import rank_by_similarity, search, similarity
from bert4keras2.embeddings.encoder import SentenceEncoder
from bert4keras2.embeddings.mining import hard_negatives
from bert4keras2.embeddings.rows import GroupRows
from bert4keras2.embeddings.whiten import Whitening, whitening

__all__ = [
    "GroupRows",
    "SentenceEncoder",
    "Whitening",
    "hard_negatives",
    "rank_by_similarity",
    "search",
    "similarity",
    "whitening",
]
