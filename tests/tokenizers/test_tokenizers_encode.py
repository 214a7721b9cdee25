"""Encoding: truncation, batches, never_split, hooks for subclasses, copies, errors."""

from __future__ import annotations

import copy
import os
import pickle
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from bert4keras2.tokenizers import Tokenizer, jieba_pre_tokenize
from bert4keras2.tokenizers.truncation import cut, pair_lengths


@pytest.fixture
def tiny(tiny_vocab) -> Tokenizer:
    return Tokenizer(tiny_vocab, do_lower_case=True)


def test_properties(lower):
    assert lower.vocab_size == lower._vocab_size == 21128
    assert (lower.pad_id, lower.unk_id, lower.start_id, lower.end_id, lower.mask_id) == (0, 100, 101, 102, 103)


def test_word_pieces(tiny):
    assert tiny.tokenize("我 ABC, abx") == ["[CLS]", "我", "ab", "##c", ",", "abx", "[SEP]"]
    assert tiny.encode("我 ABC, abx") == ([2, 5, 7, 8, 10, 1, 3], [0] * 7)
    assert Tokenizer(tiny._token_dict).tokenize("ABC abc") == ["[CLS]", "ABC", "ab", "##c", "[SEP]"]


@pytest.mark.parametrize("text", ["", " ", "\t\r\n", "\x00\u200b", "\u0301"])
def test_nothing_left(tiny, text):
    assert tiny.tokenize(text) == ["[CLS]", "[SEP]"]
    assert tiny.encode(text, text) == ([2, 3, 3], [0, 0, 1])
    assert tiny.decode([2, 3]) == ""
    assert tiny.rematch(text, ["[CLS]", "[SEP]"]) == [[], []]
    assert tiny.encode_batch([text, "d"])[0].tolist() == [[2, 3, 0], [2, 9, 3]]


def test_final_sigma_depends_on_the_whole_text(lower):
    assert lower.tokenize("ΑΣ ΑΣ.Α ΑΣ")[1:-1] == ["α", "##ς", "α", "##σ", ".", "α", "α", "##ς"]
    assert lower.encode("ΑΣ.Α")[0] == lower.tokens_to_ids(lower.tokenize("ΑΣ.Α"))


def test_control_characters_join_and_spaces_part(lower):
    assert lower.tokenize("a\x1cb\u2028c\u3000a\x85n\ufffdd")[1:-1] == ["ab", "c", "and"]


def test_cut_equals_popping():
    generator = random.Random(0)
    for _ in range(500):
        sequence = list(range(generator.randint(0, 12)))
        length, index = generator.randint(0, 12), generator.randint(-6, 6)
        expected = list(sequence)
        try:
            while len(expected) > length:
                expected.pop(index)
        except IndexError:
            with pytest.raises(ValueError, match="points outside"):
                cut(sequence, length, index)
        else:
            assert cut(sequence, length, index) == expected


def test_pair_lengths_take_from_the_longer():
    for first in range(12):
        for second in range(12):
            for limit in range(1, 24):
                a, b = first, second
                while a + b > limit:
                    a, b = (a - 1, b) if a >= b else (a, b - 1)
                assert pair_lengths(first, second, limit) == (a, b)


@pytest.mark.parametrize("pattern, size", [("S*E*E", 3), ("S*ESE", 4)])
def test_smallest_maxlen(tiny, pattern, size):
    assert len(tiny.encode("我爱", "爱我", maxlen=size, pattern=pattern)[0]) == size
    assert tiny.encode_batch(["我爱"], ["爱我"], maxlen=size, pattern=pattern)[0].shape == (1, size)
    for call in (
        lambda n: tiny.encode("我", "爱", n, pattern),
        lambda n: tiny.encode_batch(["我"], ["爱"], n, pattern),
    ):
        with pytest.raises(ValueError, match=rf"maxlen={size - 1} leaves no room: the {size} special"):
            call(size - 1)
    for call in (tiny.tokenize, tiny.encode):
        assert len(call("我爱", maxlen=2)[0]) > 0
        with pytest.raises(ValueError, match="maxlen=1 leaves no room"):
            call("我爱", maxlen=1)


def test_bad_options(tiny):
    with pytest.raises(TypeError, match=r"maxlen='8'.*whole number"):
        tiny.encode("我", maxlen="8")
    with pytest.raises(ValueError, match=r"pattern='SES'.*'S\*E\*E', 'S\*ESE'"):
        tiny.encode("我", "爱", pattern="SES")
    with pytest.raises(ValueError, match="truncate_from='middle'.*'right', 'left'"):
        tiny.encode("我", maxlen=2, truncate_from="middle")
    with pytest.raises(ValueError, match="truncate_from=50 points outside"):
        tiny.encode("我" * 9, maxlen=4, truncate_from=50)
    with pytest.raises(ValueError, match="pre_tokenize='hanlp'.*'jieba'"):
        Tokenizer(tiny._token_dict, pre_tokenize="hanlp")
    assert tiny.encode("我", maxlen=np.int64(3))[0] == [2, 5, 3]


@pytest.mark.parametrize("bad", [None, b"abc", 5, 1.5, ["a"], np.array(["a"])])
def test_text_must_be_a_string(tiny, bad):
    for call in (tiny.tokenize, lambda text: tiny.rematch(text, ["a"])):
        with pytest.raises(TypeError, match=f"text must be a str, got {type(bad).__name__}"):
            call(bad)
    with pytest.raises(TypeError, match=r"texts\[1\] must be a str"):
        tiny.encode_batch(["a", bad])
    if not isinstance(bad, list):
        with pytest.raises(TypeError, match="first_text.*list of tokens"):
            tiny.encode(bad)
    if bad is not None and not isinstance(bad, list):
        with pytest.raises(TypeError, match="second_text"):
            tiny.encode("a", bad)


def test_bytes_hint(tiny):
    with pytest.raises(TypeError, match="decode it first"):
        tiny.tokenize(b"abc")


def test_lists_of_tokens(tiny):
    assert tiny.encode(["我", "nope"], ("[CLS]", "爱")) == ([5, 1, 6], [0, 0, 1])
    with pytest.raises(TypeError, match="each token of first_text must be a str, got int"):
        tiny.encode([1, 2])


@pytest.mark.parametrize("texts", [["我爱", "d"], ["d cc", "我"], ("我", "我爱我"), ["hello world", "second one"]])
def test_texts_are_no_tokens(tiny, texts):
    """They would be unknown tokens, each of them one."""
    for arguments, name in (((texts,), "first_text"), (("我", texts), "second_text")):
        with pytest.raises(
            TypeError, match=rf"{name} is a list.*encode_batch\(texts\), a pair by encode\(first, second\)"
        ):
            tiny.encode(*arguments)


@pytest.mark.parametrize("text", ["我爱 nope d cc", "龘 ☃☃ 我", "zz" * 150, ""])
def test_what_tokenize_returns_is_taken(tiny, tiny_vocab, text):
    assert tiny.encode(tiny.tokenize(text)) == tiny.encode(text)
    assert tiny.encode(tiny.tokenize(text)[1:-1])[0] == tiny.encode(text)[0][1:-1]
    bare = Tokenizer(tiny_vocab, do_lower_case=True, token_start=None, token_end=None)
    assert bare.encode(bare.tokenize(text)) == bare.encode(text)
    with pytest.raises(TypeError, match="is a text itself"):
        bare.encode(["我 爱", "d"])


def test_a_tokenizer_that_is_called(tiny):
    for texts, pairs, options in ((["我爱", "d"], None, {}), (["我爱", "d"], ["d", "我"], {"maxlen": 5, "length": 6})):
        for found, expected in zip(
            tiny(texts, pairs, **options), tiny.encode_batch(texts, pairs, **options), strict=True
        ):
            np.testing.assert_array_equal(found, expected)
    assert tiny("我爱")[0].tolist() == [tiny.encode("我爱")[0]]
    assert tiny("我爱", "d")[1].tolist() == [tiny.encode("我爱", "d")[1]]
    with pytest.raises(TypeError, match="texts is one str"):
        tiny("我爱", ["d"])
    with pytest.raises(TypeError, match="padding"):
        tiny(["我"], padding=True)


def test_ids_outside(tiny):
    for call in (tiny.id_to_token, lambda id: tiny.decode([2, id]), lambda id: tiny.ids_to_tokens([id])):
        for id in (-1, 14, 10**9):
            with pytest.raises(ValueError, match=f"id {id} is not in the vocabulary of 14 tokens"):
                call(id)
    assert tiny.ids_to_tokens(np.array([5, 8])) == ["我", "##c"]
    assert tiny.tokens_to_ids(["nope", "d"]) == [1, 9]


# ---------------------------------------------------------------------- batches


def test_batch_shapes(tiny):
    ids, segments = tiny.encode_batch(["我爱", "d"], ["d", "我我"], multiple=4)
    assert ids.tolist() == [[2, 5, 6, 3, 9, 3, 0, 0], [2, 9, 3, 5, 5, 3, 0, 0]]
    assert segments.tolist() == [[0, 0, 0, 0, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1, 0, 0]]
    assert tiny.encode_batch(["我"], length=6)[0].tolist() == [[2, 5, 3, 0, 0, 0]]
    assert tiny.encode_batch(["我" * 9], maxlen=4, length=6)[0].tolist() == [[2, 5, 5, 3, 0, 0]]
    assert tiny.encode_batch([])[0].shape == (0, 0)
    assert tiny.encode_batch("我" for _ in range(2))[0].shape == (2, 3)


def test_batch_errors(tiny):
    with pytest.raises(ValueError, match="2 texts but 1 pairs"):
        tiny.encode_batch(["a", "b"], ["c"])
    with pytest.raises(TypeError, match="texts is one str"):
        tiny.encode_batch("abc")
    with pytest.raises(ValueError, match="5 ids, more than length=4.*maxlen=4"):
        tiny.encode_batch(["我爱我"], length=4)
    with pytest.raises(ValueError, match="multiple=0"):
        tiny.encode_batch(["我"], multiple=0)


@pytest.mark.parametrize("options", [{}, {"token_start": None}, {"token_end": None}, {"never_split": ["[MASK]"]}])
@pytest.mark.parametrize("truncate_from", ["right", "left", 1])
@pytest.mark.parametrize("pattern", ["S*E*E", "S*ESE"])
@pytest.mark.parametrize("maxlen", [None, 5, 12, 13])
def test_batch_equals_rows(vocab_path, options, truncate_from, pattern, maxlen):
    tokenizer = Tokenizer(vocab_path, do_lower_case=True, **options)
    texts = ["", "我爱北京天安门", "Hello, World! 第1名 [MASK]", "ΑΣ ok", "a\ud800b 龘😀 " * 4, "éÀ\u0301ß Ａ＋Ｂ"]
    pairs = texts[::-1]
    for seconds in (None, pairs):
        ids, segments = tokenizer.encode_batch(texts, seconds, maxlen, pattern, truncate_from)
        for index, first in enumerate(texts):
            expected = tokenizer.encode(first, seconds and seconds[index], maxlen, pattern, truncate_from)
            size = len(expected[0])
            assert (ids[index, :size].tolist(), segments[index, :size].tolist()) == expected
            assert not ids[index, size:].any() and not segments[index, size:].any()


# ---------------------------------------------------------------------- never_split


def test_never_split(vocab_path):
    text = "今天[MASK]很[mask]好[MASK][SEP]"
    plain = Tokenizer(vocab_path, do_lower_case=True)
    assert "[MASK]" not in plain.tokenize(text)
    tokenizer = Tokenizer(vocab_path, do_lower_case=True, never_split=["[MASK]", "[SEP]"])
    tokens = tokenizer.tokenize(text)
    assert tokens[1:4] == ["今", "天", "[MASK]"] and tokens[-3:] == ["[MASK]", "[SEP]", "[SEP]"]
    assert tokens[5:9] == ["[", "ma", "##sk", "]"]  # literally means with this case
    assert tokenizer.encode(text)[0] == tokenizer.tokens_to_ids(tokens)
    assert tokenizer.encode_batch([text])[0][0].tolist() == tokenizer.encode(text)[0]
    spans = tokenizer.rematch(text, tokens)
    assert [text[span[0] : span[-1] + 1] for span in spans if span] == [
        *("今", "天", "[MASK]", "很", "[", "ma", "sk", "]", "好", "[MASK]", "[SEP]")
    ]
    assert spans[0] == spans[-1] == []


def test_never_split_prefers_the_longer_token(tiny_vocab):
    tiny_vocab["我[MASK]"] = len(tiny_vocab)
    tokenizer = Tokenizer(tiny_vocab, never_split=["[MASK]", "我[MASK]"])
    assert tokenizer.tokenize("我[MASK][MASK]")[1:-1] == ["我[MASK]", "[MASK]"]


def test_never_split_errors(tiny_vocab):
    with pytest.raises(ValueError, match=r"lacks \[E1\]"):
        Tokenizer(tiny_vocab, never_split=["[E1]"])
    with pytest.raises(TypeError, match=r"pass a list of tokens"):
        Tokenizer(tiny_vocab, never_split="[MASK]")


# ---------------------------------------------------------------------- hooks, copies, threads


def test_subclasses_and_patches_reach_encode(tiny_vocab):
    class PerCharacter(Tokenizer):
        def _tokenize(self, text):
            return list(text)

    class Whole(Tokenizer):
        def tokenize(self, text, maxlen=None):
            return [text]

    assert PerCharacter(tiny_vocab).encode("我d爱")[0] == [2, 5, 9, 6, 3]
    assert PerCharacter(tiny_vocab).encode_batch(["我d爱"])[0].tolist() == [[2, 5, 9, 6, 3]]
    assert Whole(tiny_vocab).encode("我")[0] == [5]
    assert Whole(tiny_vocab).encode_batch(["我"])[0].tolist() == [[5]]
    patched = Tokenizer(tiny_vocab)
    assert patched.encode("龘 zz")[0] == [2, 1, 1, 3]
    patched._token_unk_id = 4
    assert patched.encode("龘 zz")[0] == [2, 4, 4, 3]
    patched._tokenize = lambda text: ["d"]
    assert patched.encode("龘")[0] == [2, 9, 3]


def test_pre_tokenize_keeps_words_of_the_vocabulary(tiny_vocab):
    tiny_vocab["我爱"] = len(tiny_vocab)
    seen = []

    def words(text):
        seen.append(text)
        return text.split("d")

    tokenizer = Tokenizer(tiny_vocab, do_lower_case=True, pre_tokenize=words)
    assert tokenizer.tokenize("我爱D爱 我Dabc")[1:-1] == ["我爱", "爱", "我", "ab", "##c"]
    assert seen == ["我爱d爱 我dabc"]


def test_jieba_helper():
    pytest.importorskip("jieba")
    cut_words = pickle.loads(pickle.dumps(jieba_pre_tokenize()))
    assert "".join(cut_words("我来到北京清华大学")) == "我来到北京清华大学"
    assert "北京" in cut_words("我来到北京清华大学")


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_copies(vocab_path, clone):
    tokenizer = Tokenizer(vocab_path, do_lower_case=True, never_split=["[MASK]"], pre_tokenize=str.split)
    expected = tokenizer.encode("我 love 北京[MASK]")
    twin = clone(tokenizer)
    assert twin.encode("我 love 北京[MASK]") == expected
    assert twin.mask_id == 103


def test_spawned_process(vocab_path):
    """What `multiprocessing` with spawn does: unpickle in a fresh interpreter."""
    tokenizer = Tokenizer(vocab_path, do_lower_case=True)
    expected = tokenizer.encode("我 love 北京")[0]
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).encode('我 love 北京')[0])"
    result = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps(tokenizer),
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONUTF8": "1"},
    )
    assert result.stdout.decode().strip() == str(expected)


def test_threads(vocab_path, texts):
    rows = list(texts.values())
    alone = Tokenizer(vocab_path, do_lower_case=True)
    expected = [alone.encode(text)[0] for text in rows]
    shared = Tokenizer(vocab_path, do_lower_case=True)
    with ThreadPoolExecutor(8) as pool:
        for result in pool.map(lambda _: [shared.encode(text)[0] for text in rows], range(8)):
            assert result == expected


def test_memory_is_bounded(tiny, monkeypatch):
    from bert4keras2.tokenizers import wordpiece

    monkeypatch.setattr(wordpiece, "_MEMO_ENTRIES", 10)
    for number in range(100):
        assert tiny.encode(f"x{number}")[0] == [2, 1, 3]
        assert len(tiny._id_memo) <= 10
    tiny.encode("y" * 1000)
    assert "y" * 1000 not in tiny._id_memo


def test_import_is_light():
    heavy = "keras", "tensorflow", "jieba", "sentencepiece"
    code = f"import bert4keras2.tokenizers, sys; print([name for name in {heavy} if name in sys.modules])"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True, env=env)
    assert result.stdout.strip() == "[]"
