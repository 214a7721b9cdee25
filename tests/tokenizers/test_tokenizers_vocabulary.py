"""Vocabulary files: reading, writing, and what is said about bad ones."""

from __future__ import annotations

import pytest

from bert4keras2.tokenizers import Tokenizer, load_vocab, save_vocab


@pytest.fixture
def write(tmp_path):
    def write(content: str | bytes, name: str = "vocab.txt"):
        path = tmp_path / name
        path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        return path

    return write


def test_ids_are_line_numbers(write):
    assert load_vocab(write("[PAD]\n[UNK]\na b\n\n  c \n")) == {"[PAD]": 0, "[UNK]": 1, "a": 2, "": 3, "c": 4}


def test_line_ends_and_byte_order_mark(write):
    assert load_vocab(write("\ufeff[PAD]\r\na\r\nb")) == {"[PAD]": 0, "a": 1, "b": 2}


def test_other_encoding(write):
    assert load_vocab(write("我\n爱".encode("gbk")), encoding="gbk") == {"我": 0, "爱": 1}


def test_last_of_repeated_lines_wins(write):
    path = write("[PAD]\na\nb\na\nc\n")
    with pytest.warns(UserWarning, match=r"1 tokens stand on several lines .*'a'"):
        # The reference gives 'a' and the token after it the same id and shifts the rest away from their lines.
        assert load_vocab(path) == {"[PAD]": 0, "a": 3, "b": 2, "c": 4}


def test_simplified(write):
    path = write("[PAD]\n[unused1]\n[UNK]\n中\n##中\n##ing\na,b\n,\n##,\n中国\n")
    vocabulary, keep = load_vocab(path, simplified=True, startswith=["[UNK]", "[PAD]"])
    assert vocabulary == {"[UNK]": 0, "[PAD]": 1, "中": 2, "##ing": 3, ",": 4}
    assert keep == [2, 0, 3, 5, 7]
    assert load_vocab(path, simplified=True) == ({"中": 0, "##ing": 1, ",": 2}, [3, 5, 7])
    with pytest.raises(ValueError, match=r"\[CLS\].*not in the vocabulary"):
        load_vocab(path, simplified=True, startswith=["[PAD]", "[CLS]"])


def test_round_trip(tmp_path, vocab_path):
    vocabulary = load_vocab(vocab_path)
    save_vocab(tmp_path / "copy.txt", vocabulary)
    assert load_vocab(tmp_path / "copy.txt") == vocabulary
    assert [path.name for path in tmp_path.iterdir()] == ["copy.txt"]


def test_save_orders_by_id(tmp_path):
    save_vocab(str(tmp_path / "v.txt"), {"x": 2, "我": 0, "b": 1})
    assert (tmp_path / "v.txt").read_bytes() == "我\nb\nx\n".encode()


@pytest.mark.parametrize(
    "vocabulary, message", [({"a": 0, "b": 2}, "without gaps"), ({"a": 0, "b c": 1}, "white space")]
)
def test_save_refuses_what_cannot_be_read_back(tmp_path, vocabulary, message):
    with pytest.raises(ValueError, match=message):
        save_vocab(tmp_path / "v.txt", vocabulary)
    assert not list(tmp_path.iterdir())


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.txt.*does not exist"):
        Tokenizer(tmp_path / "none.txt")


def test_folder(tmp_path):
    with pytest.raises(IsADirectoryError, match=r"folder.*vocab\.txt"):
        Tokenizer(str(tmp_path))


@pytest.mark.parametrize("content", ["", "\n\n \n"])
def test_empty_file(write, content):
    with pytest.raises(ValueError, match=r"vocab\.txt.*empty"):
        load_vocab(write(content))


def test_not_utf8(write):
    with pytest.raises(ValueError, match=r"vocab\.txt.*not utf-8 text"):
        load_vocab(write("我爱你".encode("gbk")))


def test_bad_dicts(tiny_vocab):
    with pytest.raises(ValueError, match="empty"):
        Tokenizer({})
    with pytest.raises(TypeError, match="path or a dict, got list"):
        Tokenizer(["a"])
    del tiny_vocab["[CLS]"], tiny_vocab["[UNK]"]
    with pytest.warns(UserWarning, match=r"lacks \[CLS\], \[UNK\].*token_start=None"):
        Tokenizer(tiny_vocab)
    with pytest.warns(UserWarning, match=r"lacks <s>"):
        Tokenizer({"[UNK]": 0, "[SEP]": 1}, token_start="<s>")


def test_a_file_without_special_tokens_is_the_wrong_one(write):
    with pytest.raises(ValueError, match=r"lacks \[CLS\], \[SEP\], \[UNK\]"):
        Tokenizer(write(b"[PAD]\na\nb\n"))


def test_a_vocabulary_made_for_a_task():
    with pytest.warns(UserWarning, match=r"lacks \[CLS\], \[SEP\], \[UNK\]"):
        tokenizer = Tokenizer({"[PAD]": 0, "a": 1, "b": 2})
    with pytest.raises(AttributeError, match="unknown token.*not in the vocabulary"):
        tokenizer.encode("a b")
    tokenizer._token_unk_id = 0
    assert tokenizer.encode("a b") == ([0, 1, 2, 0], [0, 0, 0, 0])  # what it lacks is unknown to it
    assert tokenizer.encode("a c", "b")[0] == [0, 1, 0, 0, 2, 0]
    assert not hasattr(tokenizer, "_token_end_id")


def test_pad_and_mask_are_optional(tiny_vocab):
    del tiny_vocab["[MASK]"]
    tokenizer = Tokenizer(tiny_vocab, token_start=None)
    assert (tokenizer.pad_id, tokenizer.unk_id, tokenizer.end_id) == (0, 1, 3)
    assert not hasattr(tokenizer, "_token_mask_id") and not hasattr(tokenizer, "_token_start_id")
    with pytest.raises(AttributeError, match=r"mask token '\[MASK\]' is not in the vocabulary"):
        tokenizer._token_mask_id  # noqa: B018
    with pytest.raises(ValueError, match=r"no mask token.*'\[MASK\]' is not in the vocabulary"):
        tokenizer.mask_id  # noqa: B018
    with pytest.raises(ValueError, match="no start token.*switched off"):
        tokenizer.start_id  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'vocabulary'"):
        tokenizer.vocabulary  # noqa: B018
