"""Tokenizers: WordPiece, SentencePiece and tokenizer.json files, vocabulary files, pre-tokenization."""

from bert4keras2.old_names import lookup
from bert4keras2.tokenizers.folder import load_tokenizer
from bert4keras2.tokenizers.huggingface import HuggingFaceTokenizer
from bert4keras2.tokenizers.pre_tokenize import jieba_pre_tokenize
from bert4keras2.tokenizers.sentence_piece import SpTokenizer
from bert4keras2.tokenizers.vocabulary import load_vocab, save_vocab
from bert4keras2.tokenizers.wordpiece import Tokenizer

__all__ = [
    "HuggingFaceTokenizer",
    "SpTokenizer",
    "Tokenizer",
    "jieba_pre_tokenize",
    "load_tokenizer",
    "load_vocab",
    "save_vocab",
]
# Names of earlier releases are looked up in the table.
__getattr__ = lookup(__name__)
