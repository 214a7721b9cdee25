"""SentencePiece: options, errors, copies (the ids themselves are golden cases)."""

from __future__ import annotations

import pickle

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
