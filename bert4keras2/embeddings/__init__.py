"""Sentence vectors: encode texts, compare, whiten and search them."""

from bert4keras2.embeddings.compare import rank_by_similarity, search, similarity
from bert4keras2.embeddings.encoder import SentenceEncoder
from bert4keras2.embeddings.whiten import Whitening, whitening

__all__ = ["SentenceEncoder", "Whitening", "rank_by_similarity", "search", "similarity", "whitening"]
