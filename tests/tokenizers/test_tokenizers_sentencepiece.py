"""SentencePiece: options, errors, copies (the ids themselves are golden cases)."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest

from bert4keras2.tokenizers import SpTokenizer


@pytest.fixture(scope="module")
def t5(sp_path) -> SpTokenizer:
    return SpTokenizer(sp_path, token_start=None, token_end="</s>")


def test_attributes(t5, sp_path):
    assert (t5.pad_id, t5.unk_id, t5.end_id, t5.vocab_size) == (0, 2, 1, 3000)
    assert not hasattr(t5, "_token_start_id")
    default = SpTokenizer(sp_path)
    assert default._token_mask_id == default._token_start_id == 2  # as the reference has it
    with pytest.raises(ValueError, match=r"no mask token: '\[MASK\]' is not a piece"):
        default.mask_id  # noqa: B018


def test_decode(t5):
    assert t5.decode([6, 2, 1, 144, 112]) == " ⁇ 其实"
    assert t5.decode(np.array([6, 112, 1, 144, 0, 0])) == "实其"
    assert t5.decode(None, tokens=["\u2581", "实", "</s>"]) == "实"
    assert t5.decode([]) == ""
    assert t5.decode([112, 3000, 5000]) == "实"
    with pytest.raises(ValueError, match="id -1 is negative"):
        t5.decode([-1])


def test_empty_text(t5):
    assert t5.encode("") == ([1], [0])
    assert t5.encode_batch(["", "我们"])[0].tolist() == [[1, 0, 0], t5.encode("我们")[0]]


def test_pre_tokenize_and_never_split(sp_path):
    tokenizer = SpTokenizer(sp_path, token_start=None, token_end=None, pre_tokenize=list)
    assert tokenizer.tokenize("我们") == ["\u2581我", "\u2581", "们"]
    assert tokenizer.rematch("我们", ["\u2581我", "\u2581", "们"]) == [[0], [], [1]]
    whole = SpTokenizer(sp_path, token_start=None, token_end=None, never_split=["<pad>"])
    tokens = whole.tokenize("我<pad>们")
    assert tokens[1] == "<pad>" and whole.encode("我<pad>们")[0][1] == 0
    assert whole.rematch("我<pad>们", tokens)[1] == [1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match=r"never_split: \[E1\] are not pieces"):
        SpTokenizer(sp_path, never_split=["[E1]"])


@pytest.mark.parametrize("text", ["中国人民AI芯片 iPhone15", "其实我们", "㈱日本 ① e\u0301", "", "hello", "𠀀们"])
def test_chinese_characters_alone(sp_path, text):
    options = {"token_start": None, "token_end": None}
    whole, tokenizer = SpTokenizer(sp_path, **options), SpTokenizer(sp_path, tokenize_chinese_chars=True, **options)
    tokens = tokenizer.tokenize(text)
    assert not any(len(token) > 1 and any("\u4e00" <= char <= "\u9fff" for char in token[1:]) for token in tokens)
    assert "".join(tokens) == "".join(whole.tokenize(text))
    # Every character is where it was, and each Chinese one is a token, or known to be in none.
    places = tokenizer.rematch(text, tokens)
    assert sorted({at for own in places for at in own}) == sorted(
        {at for own in whole.rematch(text, whole.tokenize(text)) for at in own}
    )
    for at, char in enumerate(text):
        if "\u4e00" <= char <= "\u9fff":
            assert [at] in places


def test_chinese_characters_alone_are_known(t5, sp_path):
    text = "我们"
    tokenizer = SpTokenizer(sp_path, token_start=None, token_end="</s>", tokenize_chinese_chars=True)
    assert t5.tokenize(text) == ["\u2581", "我们", "</s>"]
    ids = tokenizer.encode(text)[0]
    assert tokenizer.ids_to_tokens(ids) == ["\u2581", "我", "们", "</s>"] and tokenizer.decode(ids) == text
    assert tokenizer.rematch(text, tokenizer.tokenize(text)) == [[], [0], [1], []]
    # What a part has no piece for becomes characters; a blank stays with it where the model has the two in one.
    assert tokenizer._cut_anew("其qz实") == ["其", "q", "z", "实"]
    assert tokenizer._cut_anew("\u2581我们") == ["\u2581我", "们"]
    assert pickle.loads(pickle.dumps(tokenizer)).encode(text)[0] == ids


def test_pickle(t5):
    assert pickle.loads(pickle.dumps(t5)).encode("我们 hello") == t5.encode("我们 hello")


def test_surrogates(t5):
    with pytest.raises(ValueError, match="surrogate"):
        t5.encode("a\ud800b")


def test_bad_files(tmp_path, sp_path):
    with pytest.raises(FileNotFoundError, match="none.model.*does not exist"):
        SpTokenizer(tmp_path / "none.model")
    with pytest.raises(IsADirectoryError, match=r"folder.*\.model"):
        SpTokenizer(tmp_path)
    with open(sp_path, "rb") as file:
        content = file.read()
    for bad in (b"", b"garbage" * 100, content[: len(content) // 2], b"\xff" * 50):
        path = tmp_path / "bad.model"
        path.write_bytes(bad)
        with pytest.raises(ValueError, match=r"bad\.model.*not a SentencePiece model"):
            SpTokenizer(path)


def test_text_must_be_a_string(t5):
    for bad in (None, b"abc", 5):
        with pytest.raises(TypeError, match="must be a str"):
            t5.tokenize(bad)
        with pytest.raises(TypeError, match="first_text"):
            t5.encode(bad)


# ---------------------------------------------------------------- fairseq's layout, that of XLM-RoBERTa

SENTENCES = [
    "我爱北京天安门",
    "今天天气不错",
    "hello world, this is a test",
    "the quick brown fox",
    "2024 123 456",
] * 20
TEXTS = ["", " ", "hello  world", "我爱北京\u3000hello", "a\tb\r\nc", "😀😀 x😀", "ＡＢＣ①", "𠀀龘 吗？", "isn't 3.14"]


@pytest.fixture(scope="module")
def xlm_path(tmp_path_factory) -> Path:
    """A model that begins with <unk>, <s>, </s>, in a folder of its own."""
    sentencepiece = pytest.importorskip("sentencepiece")
    content = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES), model_writer=content, vocab_size=70, hard_vocab_limit=False,
        character_coverage=1.0, unk_id=0, bos_id=1, eos_id=2, pad_id=-1, minloglevel=2,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("xlm") / "sentencepiece.bpe.model"
    path.write_bytes(content.getvalue())
    return path


@pytest.fixture(scope="module")
def xlm(xlm_path) -> SpTokenizer:
    return SpTokenizer(xlm_path, layout="fairseq")


def test_fairseq_ids(xlm, xlm_path):
    own = SpTokenizer(xlm_path, token_start=None, token_end=None)
    size = own.vocab_size
    assert xlm.vocab_size == xlm._vocab_size == size + 2
    ids = (xlm.start_id, xlm.pad_id, xlm.end_id, xlm.unk_id, xlm.mask_id)
    assert ids == (0, 1, 2, 3, size + 1) and xlm._token_pad_id == 1
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *own.ids_to_tokens(range(3, size)), "<mask>"]
    assert xlm.ids_to_tokens(range(size + 2)) == tokens and xlm.tokens_to_ids(tokens) == list(range(size + 2))
    assert xlm.id_to_token(size + 2) == "" and xlm.token_to_id("no such") == 3
    for text in TEXTS:
        assert xlm.encode(text)[0] == [0, *(id + 1 if id else 3 for id in own.encode(text)[0]), 2]
    decodable = [xlm._is_decodable(id) for id in (0, 1, 2, 3, 4, size, size + 1, size + 2)]
    assert decodable == [False, False, False, False, True, True, False, False]


def test_fairseq_ids_are_those_of_transformers(xlm, xlm_path):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("tokenizers")
    theirs = transformers.XLMRobertaTokenizerFast.from_pretrained(xlm_path.parent)
    assert len(theirs) == xlm.vocab_size
    for text in TEXTS:
        assert xlm.encode(text)[0] == theirs(text)["input_ids"], text
        assert xlm.encode(text, "我爱 test")[0] == theirs(text, "我爱 test")["input_ids"], text
        assert xlm.encode(text, maxlen=5)[0] == theirs(text, max_length=5, truncation=True)["input_ids"]
    batch = theirs(TEXTS, TEXTS[::-1], padding=True)["input_ids"]
    assert xlm.encode_batch(TEXTS, TEXTS[::-1])[0].tolist() == batch
    mask = SpTokenizer(xlm_path, layout="fairseq", never_split=["<mask>"])
    assert mask.encode("hello <mask> 北京")[0] == theirs("hello <mask> 北京")["input_ids"]


def test_fairseq_pairs(xlm):
    ids, segments = xlm.encode("我爱", "test")
    a, b = xlm.encode("我爱")[0][1:-1], xlm.encode("test")[0][1:-1]
    assert ids == [0, *a, 2, 2, *b, 2] and segments == [0] * len(ids)
    assert xlm.encode("我爱", "test", pattern="S*E*E")[0] == [0, *a, 2, *b, 2]
    assert xlm.encode("我爱", "test", pattern="S*ESE")[0] == [0, *a, 2, 0, *b, 2]
    assert xlm.encode("我爱", "test", maxlen=6, truncate_from="left")[0] == [0, a[-1], 2, 2, b[-1], 2]
    for maxlen in (None, 4, 7, 8):
        for side in ("left", "right", 1):
            rows, kinds = xlm.encode_batch(TEXTS, TEXTS[::-1], maxlen, truncate_from=side)
            assert not kinds.any()
            for row, first, second in zip(rows.tolist(), TEXTS, TEXTS[::-1], strict=True):
                expected = xlm.encode(first, second, maxlen, truncate_from=side)[0]
                assert row == expected + [1] * (len(row) - len(expected))
                assert maxlen is None or len(expected) <= maxlen
    with pytest.raises(ValueError, match="maxlen=3 leaves no room: the 4 special tokens"):
        xlm.encode_batch(["a"], ["b"], maxlen=3)


def test_fairseq_decode_and_places(xlm):
    assert xlm.decode(xlm.encode_batch(["hello 我爱北京", "a"])[0][1]) == "a"
    assert xlm.decode([0, *xlm.encode("hello 我爱")[0], xlm.mask_id, 1, 1]) == "hello 我爱"
    assert xlm.decode([3, xlm.vocab_size, 2]) == " ⁇ "
    tokens = xlm.tokenize("hello 龘 北京")
    places = xlm.rematch("hello 龘 北京", tokens)
    assert tokens[0] == "<s>" and sum(places, []) == [0, 1, 2, 3, 4, 6, 8, 9]
    assert pickle.loads(pickle.dumps(xlm)).encode("我们", "a") == xlm.encode("我们", "a")


def test_layout_must_fit(sp_path):
    with pytest.raises(ValueError, match="layout='xlm' is unknown; use 'fairseq', or None"):
        SpTokenizer(sp_path, layout="xlm")
    with pytest.raises(ValueError, match=r"begin with the pieces <unk>, <s>, </s>, but .*sp\.model' begins with <pad>"):
        SpTokenizer(sp_path, layout="fairseq")
