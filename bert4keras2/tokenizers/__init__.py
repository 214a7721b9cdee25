"""Tokenizers: WordPiece and SentencePiece, vocabulary files, pre-tokenization."""

from .folder import load_tokenizer
from .pre_tokenize import jieba_pre_tokenize
from .sentence_piece import SpTokenizer
from .vocabulary import load_vocab, save_vocab
from .wordpiece import Tokenizer

__all__ = ["SpTokenizer", "Tokenizer", "jieba_pre_tokenize", "load_tokenizer", "load_vocab", "save_vocab"]
