"""The tokenizer of a checkpoint's folder."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest

from bert4keras2.models import build_transformer_model
from bert4keras2.tokenizers import HuggingFaceTokenizer, SpTokenizer, Tokenizer, load_tokenizer

SIZES = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "A", "我"]


def folder(path: Path, rows: int = len(TOKENS)) -> Path:
    """Fill a folder as released checkpoints are."""
    (path / "bert_config.json").write_text(json.dumps({**SIZES, "vocab_size": rows}))
    bert = build_transformer_model({**SIZES, "vocab_size": rows}, return_keras_model=False)
    bert.save_weights_as_checkpoint(path / "model.safetensors")
    return path


def config(path: Path, name: str = "config.json", **keys) -> Path:
    """Write a configuration, without weights."""
    (path / name).write_text(json.dumps({**SIZES, **keys}))
    return path


def vocabulary(path: Path) -> Path:
    (path / "vocab.txt").write_text("\n".join(TOKENS), encoding="utf-8")
    return path


def pieces(path: Path, *first: str) -> Path:
    """Write a SentencePiece model that begins with these pieces."""
    sentencepiece = pytest.importorskip("sentencepiece")
    content = io.BytesIO()
    names = {f"{name}_piece": piece for name, piece in zip(("unk", "bos", "eos"), first, strict=True)}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["我爱北京", "hello world"] * 9), model_writer=content, vocab_size=30,
        hard_vocab_limit=False, unk_id=0, bos_id=1, eos_id=2, pad_id=-1, minloglevel=2, **names,
    )  # fmt: skip
    path.write_bytes(content.getvalue())
    return path


def byte_level(path: Path) -> Path:
    """Write a tokenizer.json, a vocab.json and a merges.txt."""
    library = pytest.importorskip("tokenizers")
    vocab = {char: id for id, char in enumerate(sorted(library.pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = library.Tokenizer(library.models.BPE(vocab={**vocab, "<|endoftext|>": 256}, merges=[]))
    tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = library.decoders.ByteLevel()
    tokenizer.save(str(path / "tokenizer.json"))
    tokenizer.model.save(str(path))
    return path


def test_wordpiece(tmp_path):
    vocabulary(folder(tmp_path))
    tokenizer = load_tokenizer(tmp_path)
    assert isinstance(tokenizer, Tokenizer) and tokenizer.encode("A我")[0] == [2, 5, 7, 3]
    assert load_tokenizer(tmp_path, do_lower_case=False).encode("A")[0] == [2, 6, 3]
    (tmp_path / "tokenizer_config.json").write_text('\ufeff{"do_lower_case": false}', encoding="utf-8")
    assert load_tokenizer(tmp_path).encode("A")[0] == [2, 6, 3]
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": ')
    with pytest.raises(ValueError, match=r"tokenizer_config\.json is not a JSON file"):
        load_tokenizer(tmp_path)


def test_larger_vocabulary_than_model(tmp_path):
    vocabulary(folder(tmp_path, rows=6))
    with pytest.raises(ValueError, match="8 tokens, .* 6 embeddings"):
        load_tokenizer(tmp_path)


def test_without_weights(tmp_path):
    assert load_tokenizer(vocabulary(tmp_path)).vocab_size == len(TOKENS)
    config(tmp_path, vocab_size=7)
    with pytest.raises(ValueError, match=r"8 tokens, but the model of .*config\.json has 7 embeddings"):
        load_tokenizer(tmp_path)
    config(tmp_path, vocab_size=8, type_vocab_size=1)
    assert load_tokenizer(tmp_path).encode("a", "a") == ([2, 5, 3, 5, 3], [0] * 5)
    assert load_tokenizer(config(tmp_path, type_vocab_size=2)).encode("a", "a")[1] == [0, 0, 0, 1, 1]
    (tmp_path / "config.json").write_text('{"hidden_size": ')
    with pytest.raises(ValueError, match=r"config\.json is not a JSON file"):
        load_tokenizer(tmp_path)


def test_two_configurations(tmp_path):
    """As with find_checkpoint, the format of the weights decides."""
    config(vocabulary(folder(tmp_path)), vocab_size=8, max_position_embeddings=512)
    assert load_tokenizer(tmp_path).vocab_size == 8


def test_no_vocabulary(tmp_path):
    wanted = (
        r"no vocabulary. Looked for vocab.txt, a SentencePiece model .*, tokenizer.json, and vocab.json with merges"
    )
    with pytest.raises(FileNotFoundError, match=wanted + r".*found bert_config.json, model.safetensors"):
        load_tokenizer(folder(tmp_path))
    (tmp_path / "inner").mkdir()
    with pytest.raises(FileNotFoundError, match=wanted + ".*found nothing"):
        load_tokenizer(tmp_path / "inner")
    with pytest.raises(FileNotFoundError, match="none' does not exist"):
        load_tokenizer(tmp_path / "none")


def test_sentencepiece(shared):
    tokenizer = load_tokenizer(shared / "checkpoints" / "me5_small_zh")
    assert isinstance(tokenizer, SpTokenizer)
    ids, _ = tokenizer.encode("query: 今天天气不错")
    assert ids[0] == 2 and ids[-1] == 3


@pytest.mark.parametrize(
    "name, files, fairseq",
    [
        ("sentencepiece.bpe.model", {}, True),
        ("sentencepiece.bpe.model", {"config": {"vocab_size": 999}}, True),
        ("sentencepiece.bpe.model", {"config": {"model_type": "bert"}}, False),
        ("sentencepiece.bpe.model", {"tokenizer_config": {"tokenizer_class": "CamembertTokenizer"}}, False),
        ("spiece.model", {}, False),
        ("spiece.model", {"config": {"model_type": "xlm-roberta"}}, True),
        ("spiece.model", {"config": {"tokenizer_class": "XLMRobertaTokenizer"}}, True),
        ("spiece.model", {"tokenizer_config": {"tokenizer_class": "XLMRobertaTokenizerFast"}}, True),
    ],
)
def test_xlm_roberta(name, files, fairseq, tmp_path):
    path = pieces(tmp_path / name, "<unk>", "<s>", "</s>")
    for file, keys in files.items():
        config(tmp_path, f"{file}.json", **keys)
    own = SpTokenizer(path, token_start="<s>", token_end="</s>")
    expected = SpTokenizer(path, layout="fairseq") if fairseq else own
    tokenizer = load_tokenizer(tmp_path)
    assert isinstance(tokenizer, SpTokenizer)
    assert tokenizer.encode("我爱 hello", "world") == expected.encode("我爱 hello", "world")
    assert tokenizer.encode("a")[0][0] == (0 if fairseq else 1)
    assert load_tokenizer(tmp_path, layout=None, token_start="<s>", token_end="</s>").encode("a") == own.encode("a")


def test_own_ids_where_the_layout_cannot_be(tmp_path):
    pieces(tmp_path / "sentencepiece.bpe.model", "[UNK]", "[CLS]", "[SEP]")
    config(tmp_path, model_type="xlm-roberta")
    tokenizer = load_tokenizer(tmp_path)
    assert (tokenizer.encode("")[0], tokenizer._token_start) == ([1, 2], "[CLS]")


def test_order(tmp_path):
    byte_level(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    assert isinstance(tokenizer, HuggingFaceTokenizer) and tokenizer.tokenize("a") == ["\u0120", "a"]
    assert load_tokenizer(tmp_path, token_end="<|endoftext|>").encode("")[0] == [256]
    (tmp_path / "tokenizer.json").rename(tmp_path / "other.txt")
    assert load_tokenizer(tmp_path).tokenize("a") == ["a"]
    shutil.move(tmp_path / "other.txt", tmp_path / "tokenizer.json")
    path = pieces(tmp_path / "spiece.model", "<unk>", "<s>", "</s>")
    assert isinstance(load_tokenizer(tmp_path), SpTokenizer)
    assert isinstance(load_tokenizer(vocabulary(tmp_path)), Tokenizer)
    path.unlink()
    assert isinstance(load_tokenizer(tmp_path), Tokenizer)


def test_tokenizer_json_and_configuration(tmp_path):
    config(byte_level(tmp_path), vocab_size=256)
    with pytest.raises(ValueError, match=r"tokenizer\.json has 257 tokens, but the model of .* has 256 embeddings"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ValueError, match=r"tokenizer\.json is not a JSON file"):
        load_tokenizer(config(tmp_path, vocab_size=257))
