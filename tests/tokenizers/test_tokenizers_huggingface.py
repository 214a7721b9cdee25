"""Tokenizers over a tokenizer.json: ids of the library, special tokens, truncation, places, decoding."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip("tokenizers")

from toy_tokenizers import KINDS, TEXTS, library, roberta, write

from bert4keras2.tokenizers import HuggingFaceTokenizer, Tokenizer


@pytest.fixture(params=sorted(KINDS))
def both(request, folders):
    """Our tokenizer and the library's of the same file."""
    path = folders[request.param] / "tokenizer.json"
    return HuggingFaceTokenizer(path), library.Tokenizer.from_file(str(path))


def test_ids_are_those_of_the_library(both):
    ours, theirs = both
    special = 1 if ours._token_start or ours._token_end else 0
    for text in TEXTS:
        assert ours.encode(text) == (theirs.encode(text).ids, [0] * len(theirs.encode(text).ids)), text
        assert ours.tokenize(text) == [theirs.id_to_token(id) for id in theirs.encode(text).ids]
        for second in ("我", "hello world"):
            expected = theirs.encode(text, second)
            assert ours.encode(text, second) == (expected.ids, [special * type for type in expected.type_ids])
    assert ours.vocab_size == theirs.get_vocab_size()
    vocabulary = theirs.get_vocab()
    assert ours.tokens_to_ids(vocabulary) == list(vocabulary.values())
    assert ours.ids_to_tokens(vocabulary.values()) == list(vocabulary)


def test_batches_are_padded_rows(both):
    ours, _ = both
    seconds = TEXTS[::-1]
    pad = ours.__dict__.get("_token_pad_id", 0)
    for pairs in (None, seconds):
        for pattern in (None, "S*E*E", "S*ESE", "S*EE*E"):
            for maxlen, side in ((None, "right"), (9, "right"), (6, "left"), (6, 1)):
                ids, segments = ours.encode_batch(TEXTS, pairs, maxlen, pattern, side, multiple=4)
                assert ids.dtype == segments.dtype == np.int32 and ids.shape == segments.shape
                for row, kinds, first, second in zip(ids, segments, TEXTS, pairs or [None] * len(TEXTS), strict=True):
                    expected = ours.encode(first, second, maxlen, pattern, side)
                    assert maxlen is None or len(expected[0]) <= maxlen
                    padding = len(row) - len(expected[0])
                    assert row.tolist() == expected[0] + [pad] * padding
                    assert kinds.tolist() == expected[1] + [0] * padding


def test_truncation(folders, tmp_path):
    ours = HuggingFaceTokenizer(folders["roberta"])
    theirs = library.Tokenizer.from_file(str(folders["roberta"] / "tokenizer.json"))
    theirs.enable_truncation(7)
    theirs.enable_padding(length=30)
    text = "The quick brown fox"
    assert ours.encode(text, maxlen=7)[0] == theirs.encode(text).ids[:7]
    body = ours.encode(text)[0][1:-1]
    assert ours.encode(text, maxlen=7, truncate_from="left")[0] == [0, *body[-5:], 2]
    first, second = ours.encode("fox", maxlen=None)[0][1:-1], body
    assert ours.encode("fox", text, maxlen=len(first) + 7)[0] == [0, *first, 2, 2, *second[:3], 2]
    assert ours.encode("fox", text, maxlen=4)[0] == [0, 2, 2, 2]
    with pytest.raises(ValueError, match="maxlen=3 leaves no room: the 4 special tokens"):
        ours.encode("fox", text, maxlen=3)
    # A file may say that the library cuts and pads: it does not here.
    tokenizer = roberta()
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=64)
    assert HuggingFaceTokenizer(write(tokenizer, tmp_path)).encode(text) == ours.encode(text)


def test_patterns_on_tokens(folders):
    roberta, gpt2 = HuggingFaceTokenizer(folders["roberta"]), HuggingFaceTokenizer(folders["gpt2"])
    a, b = roberta.tokenize("我"), roberta.tokenize("hello")
    assert roberta.encode(a, b) == roberta.encode("我", "hello")
    assert roberta.ids_to_tokens(roberta.encode("我", "hello", pattern="S*ESE")[0]) == a + b
    assert roberta.ids_to_tokens(roberta.encode("我", "hello", pattern="S*E*E")[0]) == a + b[1:]
    # Without special tokens a pair keeps to maxlen as well.
    assert [len(gpt2.encode("hello " * 9, "world " * 9, maxlen=size)[0]) for size in (1, 2, 7, 8)] == [1, 2, 7, 8]
    assert gpt2.encode_batch(["hello " * 9], ["world " * 9], maxlen=5)[0].shape == (1, 5)


def test_decode_gives_the_text_back(folders):
    for name in ("gpt2", "roberta"):
        tokenizer = HuggingFaceTokenizer(folders[name])
        for text in TEXTS:
            assert tokenizer.decode(tokenizer.encode(text)[0]) == text
            assert tokenizer.decode(None, tokens=tokenizer.tokenize(text)) == text
        half = tokenizer.encode("龘")[0][int(name == "roberta") :][:2]
        assert tokenizer.decode(half) == "\ufffd"
        assert tokenizer.decode([*half, tokenizer.vocab_size, tokenizer.vocab_size + 7]) == "\ufffd"
        with pytest.raises(ValueError, match="id -1 is negative; ids of this vocabulary are 0 to 299"):
            tokenizer.decode([-1])
    xlm = HuggingFaceTokenizer(folders["xlm"])
    assert xlm.decode(xlm.encode("hello  我爱北京")[0]) == "hello 我爱北京"
    assert xlm.decode(xlm.encode_batch(["hello", "我爱 北京"])[0][0]) == "hello"
    bert = HuggingFaceTokenizer(folders["bert"])
    assert bert.decode(bert.encode("我爱北京. Hello  World")[0]) == "我爱北京. hello world"


def test_places(both):
    ours, theirs = both
    for text in TEXTS:
        tokens = ours.tokenize(text)
        places = ours.rematch(text, tokens)
        assert len(places) == len(tokens)
        if ours._token_end is not None:
            assert places[-1] == []
        flat = [index for place in places for index in place]
        assert flat == sorted(flat)
        dropped = "\x00\u200b\ufeff\u200d" if ours._kind == "words" else "\ufeff"
        assert set(flat) >= {i for i, char in enumerate(text) if not char.isspace() and char not in dropped}, text
        assert not {text[i] for i in flat} & set(" \t\r\n\u3000\xa0")
        # Within the library's spans, each of which belongs to one token.
        spans = [span for span, mask in zip(theirs.encode(text).offsets, places, strict=True) if mask]
        for (start, end), place in zip(spans, filter(None, places), strict=True):
            assert start <= place[0] and place[-1] < end
        assert ours.rematch(text, tokens[:3]) == places[:3]


def test_places_of_bytes_and_blanks(folders):
    gpt2 = HuggingFaceTokenizer(folders["gpt2"])
    text = "hello  龘 world\n"
    tokens = gpt2.tokenize(text)
    places = gpt2.rematch(text, tokens)
    assert places[:2] == [[0, 1, 2, 3, 4], []] and places[-1] == []
    assert places.count([7]) == len("龘".encode()) and places[-2][-1] == 13
    assert [i for i in (9, 10, 11, 12, 13) if i in sum(places, [])] == [9, 10, 11, 12, 13]
    prefixed = HuggingFaceTokenizer(folders["llama"])
    tokens = prefixed.tokenize("龘")
    assert tokens[1] == "\u0120" and prefixed.rematch("龘", tokens) == [[], [], [0], [0], [0]]
    xlm = HuggingFaceTokenizer(folders["xlm"])
    text = "a <mask> b"
    assert xlm.rematch(text, xlm.tokenize(text))[1:-1][-3:] == [[2, 3, 4, 5, 6, 7], [], [9]]
    with pytest.raises(ValueError, match="tokens are not pieces of this text"):
        xlm.rematch("a", ["no", "such"])


def test_special_tokens(folders):
    gpt2 = HuggingFaceTokenizer(folders["gpt2"])
    assert (gpt2._token_start, gpt2._token_end, gpt2._token_pad, gpt2._token_mask) == (None,) * 4
    assert not hasattr(gpt2, "_token_end_id")
    with pytest.raises(ValueError, match="no padding token: it was switched off"):
        gpt2.pad_id  # noqa: B018
    with pytest.raises(ValueError, match="'no such' is not in the vocabulary, which has no token for unknown ones"):
        gpt2.token_to_id("no such")
    end = HuggingFaceTokenizer(folders["gpt2"], token_end="<|endoftext|>", token_pad="<|endoftext|>")
    assert end.encode("hello")[0] == [*gpt2.encode("hello")[0], 0] and end.end_id == end._token_pad_id == 0
    assert end.decode(end.encode("hello")[0]) == "hello"
    assert gpt2.encode("a<|endoftext|>b")[0][1] == 0
    roberta = HuggingFaceTokenizer(folders["roberta"])
    ids = (roberta.start_id, roberta.pad_id, roberta.end_id, roberta.unk_id, roberta.mask_id)
    assert ids == (0, 1, 2, 3, 4) and roberta.tokens_to_ids(["no such", "<mask>"]) == [3, 4]
    assert HuggingFaceTokenizer(folders["roberta"], token_start=None).encode("") == ([2], [0])
    assert HuggingFaceTokenizer(folders["roberta"], token_mask=None)._token_mask is None
    bert = HuggingFaceTokenizer(folders["bert"])
    assert [getattr(bert, f"_token_{role}_id") for role in ("pad", "unk", "start", "end", "mask")] == [0, 1, 2, 3, 4]
    assert HuggingFaceTokenizer(folders["t5"])._token_start is None
    with pytest.raises(ValueError, match=r"roberta.*lacks \[MASK\], \[SEP\]; name tokens that it has"):
        HuggingFaceTokenizer(folders["roberta"], token_end="[SEP]", token_mask="[MASK]")


def test_word_pieces_are_those_of_our_tokenizer(folders):
    ours = HuggingFaceTokenizer(folders["bert"])
    vocabulary = {ours.id_to_token(id): id for id in range(ours.vocab_size)}
    plain = Tokenizer(vocabulary, do_lower_case=True)
    for text in TEXTS[:-1]:
        assert ours.encode(text, "我爱") == plain.encode(text, "我爱")
        assert ours.decode(ours.encode(text)[0]) == plain.decode(plain.encode(text)[0])
        unknown = plain.ids_to_tokens(plain.encode(text)[0])
        places = [[i for i in place if text[i] != "\u200d"] for place in ours.rematch(text, ours.tokenize(text))]
        assert places == plain.rematch(text, unknown)


def test_options_of_all_tokenizers(folders):
    path = folders["gpt2"]
    words = HuggingFaceTokenizer(path, pre_tokenize=lambda text: text.split())
    joined = words.tokenize("hello hello")
    assert joined == words.tokenize("hello") * 2 and words.rematch("hello hello", joined)[-1][-1] == 10
    assert words.encode_batch(["hello hello"])[0][0].tolist() == words.encode("hello hello")[0]
    whole = HuggingFaceTokenizer(path, never_split=["Ġw"])
    assert whole.tokenize("aĠwb") == ["a", "Ġw", "b"] and whole.rematch("aĠwb", whole.tokenize("aĠwb"))[1] == [1, 2]
    with pytest.raises(ValueError, match=r"lacks \[E1\]"):
        HuggingFaceTokenizer(path, never_split=["[E1]"])
    other = HuggingFaceTokenizer(path, token_translate={"a": "b"})
    assert other.tokenize("aa") == ["b", "b"] and other.decode(other.encode("aa")[0]) == "aa"

    class Characters(HuggingFaceTokenizer):
        def _tokenize(self, text):
            return list(text)

    assert Characters(path).encode_batch(["abc"])[0].tolist() == [Characters(path).tokens_to_ids("abc")]
    assert pickle.loads(pickle.dumps(whole)).encode("a 龘") == whole.encode("a 龘")


def test_texts_must_be_sound(folders):
    tokenizer = HuggingFaceTokenizer(folders["gpt2"])
    for call in (tokenizer.tokenize, tokenizer.encode, lambda text: tokenizer.encode_batch(["a", text])):
        with pytest.raises(ValueError, match=r"'a\\ud800b' cannot be cut into tokens: it holds half of a surrogate"):
            call("a\ud800b")
        with pytest.raises(TypeError, match="must be a str"):
            call(b"abc")
