"""Tiny tokenizers of the package tokenizers, trained on a few sentences, and texts that are hard for them."""

from __future__ import annotations

from pathlib import Path

import pytest

library = pytest.importorskip("tokenizers")

SENTENCES = [
    "hello world",
    "The quick brown fox isn't lazy.",
    "我爱北京天安门",
    "今天天气不错 2024",
    "hello 😀 wörld",
] * 3
TEXTS = [
    "",
    " ",
    "hello world",
    " hello  world ",
    "The quick\t\tfox\r\n jumps\n",
    "我爱北京天安门",
    "我们今天去 hello 吗？",
    "😀👨\u200d👩\u200d👧",
    "x😀y 𠀀龘",
    "1234567890 3.14 2024",
    "isn't it",
    "naïve Ünïcode ＡＢＣ",
    "a\u3000b\xa0c",
    "<|endofte",
    "\x00\u200b\ufeff",
]
BYTES = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def byte_level(special: list[str], **prefix: bool):
    """A byte-level BPE of about forty merges."""
    tokenizer = library.Tokenizer(library.models.BPE())
    tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=prefix.get("prefix", False))
    tokenizer.decoder = library.decoders.ByteLevel()
    alphabet = library.pre_tokenizers.ByteLevel.alphabet()
    trainer = library.trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return tokenizer


def word_piece():
    tokenizer = library.Tokenizer(library.models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = library.normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = library.pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = library.decoders.WordPiece()
    trainer = library.trainers.WordPieceTrainer(vocab_size=90, special_tokens=WORDS, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = template(tokenizer, "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1")
    return tokenizer


def unigram():
    """As the files of XLM-RoBERTa are: fairseq's special tokens around the pieces."""
    tokenizer = library.Tokenizer(library.models.Unigram())
    tokenizer.normalizer = library.normalizers.NFKC()
    space = library.pre_tokenizers.Metaspace()
    tokenizer.pre_tokenizer = library.pre_tokenizers.Sequence([library.pre_tokenizers.WhitespaceSplit(), space])
    tokenizer.decoder = library.decoders.Metaspace()
    trainer = library.trainers.UnigramTrainer(
        vocab_size=80, special_tokens=BYTES[:4], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.add_special_tokens([library.AddedToken("<mask>", lstrip=True)])
    tokenizer.post_processor = template(tokenizer, "<s> $A </s>", "<s> $A </s> </s> $B </s>")
    return tokenizer


def template(tokenizer, single: str, pair: str):
    names = {item.split(":")[0] for item in (single + " " + pair).split() if item[0] != "$"}
    special = [(name, tokenizer.token_to_id(name)) for name in sorted(names)]
    return library.processors.TemplateProcessing(single=single, pair=pair, special_tokens=special)


def roberta():
    tokenizer = byte_level(BYTES)
    tokenizer.post_processor = library.processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, False)
    return tokenizer


def t5():
    tokenizer = unigram()
    tokenizer.post_processor = template(tokenizer, "$A </s>", "$A </s> $B </s>")
    return tokenizer


def llama():
    """A start token before either text and no end token, after a processor that trims offsets only."""
    tokenizer = byte_level(BYTES, prefix=True)
    parts = [library.processors.ByteLevel(), template(tokenizer, "<s> $A", "<s> $A <s>:1 $B:1")]
    tokenizer.post_processor = library.processors.Sequence(parts)
    return tokenizer


KINDS = {
    "gpt2": lambda: byte_level(["<|endoftext|>"]), "roberta": roberta, "bert": word_piece, "xlm": unigram, "t5": t5,
    "llama": llama,
}  # fmt: skip


def write(tokenizer, path: Path) -> Path:
    tokenizer.save(str(path / "tokenizer.json"))
    return path / "tokenizer.json"
