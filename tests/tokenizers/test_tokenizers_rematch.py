"""Places of tokens in the text, on hand-made and on random Unicode."""

from __future__ import annotations

import random
import unicodedata

import pytest

from bert4keras2.tokenizers import SpTokenizer, Tokenizer
from bert4keras2.tokenizers.characters import category
from bert4keras2.tokenizers.normalize import clean, clean_with_offsets, is_isolated, lowercase_and_strip, plain_isolated
from bert4keras2.tokenizers.vocabulary import stem
from tests.fuzz.offsets import run


def surfaces(tokenizer, text):
    tokens = tokenizer.tokenize(text)
    spans = tokenizer.rematch(text, tokens)
    assert len(spans) == len(tokens)
    return [(token, "".join(text[i] for i in dict.fromkeys(span))) for token, span in zip(tokens, spans, strict=True)][
        1:-1
    ]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("İstanbul ok", [("is", "İs"), ("##tan", "tan"), ("##bu", "bu"), ("##l", "l"), ("ok", "ok")]),
        ("İİ龘", [("ii", "İİ"), ("龘", "龘")]),
        ("e\u0301a\u0301 É", [("ea", "ea"), ("e", "É")]),  # combining marks belong to no token
        ("ab\x00c\u200bd", [("abc", "abc"), ("##d", "d")]),
        ("ΑΣ ΑΣΑ", [("α", "Α"), ("##ς", "Σ"), ("α", "Α"), ("##σ", "Σ"), ("##α", "Α")]),
        ("a\u302e\u1b44b", [("a\u1b44\u302eb", "a\u302e\u1b44b")]),  # swapped by normalization
        ("ﬁ ok", [("ﬁ", "ﬁ"), ("ok", "ok")]),
        ("我😀👍🏽的", [("我", "我"), ("😀👍🏽", "😀👍🏽"), ("的", "的")]),
        ("ẞß", [("ß", "ẞ"), ("##ß", "ß")]),
    ],
)
def test_places(lower, text, expected):
    assert surfaces(lower, text) == expected


def test_hangul_falls_into_letters(lower):
    """Pieces may share a syllable, and list it once for every letter that they hold."""
    tokens = lower.tokenize("븟勁")
    assert tokens == ["[CLS]", "\u1107", "##\u1173", "##\u11ba", "勁", "[SEP]"]
    assert lower.rematch("븟勁", tokens) == [[], [0], [0], [0], [1], []]
    assert lower.rematch("쒚", lower.tokenize("쒚")) == [[], [0, 0, 0], []]


def test_reference_case_with_dotted_i(lower):
    """The reference answers [0, 2], [3, 4, 5], [6, 7], [8] here: indices into the lower-cased text."""
    tokens = ["[CLS]", "is", "##tan", "##bu", "##l", "[SEP]"]
    assert lower.rematch("İstanbul", tokens) == [[], [0, 1], [2, 3, 4], [5, 6], [7], []]


def test_parts_of_the_list(lower):
    text = "天 hello天地"
    tokens = lower.tokenize(text)
    spans = lower.rematch(text, tokens)
    assert lower.rematch(text, tokens[1:-1]) == spans[1:-1]
    assert lower.rematch(text, lower.tokenize(text, maxlen=4)) == [*spans[:3], []]
    ids, _ = lower.encode(text, maxlen=4, truncate_from="left")
    assert lower.rematch(text, lower.ids_to_tokens(ids)) == [[], [7], [8], []]  # not the first of the two 天
    assert lower.rematch(text, ["hello", "天"]) == [[2, 3, 4, 5, 6], [7]]  # a piece from the middle
    assert lower.rematch(text, ["[CLS]", "天", "[SEP]", "天"]) == [[], [0], [], [7]]  # anything else: in order


def test_unknown_tokens_from_ids(lower):
    text = "我龘 ok龘的"
    tokens = lower.ids_to_tokens(lower.encode(text)[0])
    assert tokens.count("[UNK]") == 2
    assert lower.rematch(text, tokens) == lower.rematch(text, lower.tokenize(text))


def test_literal_start_token(vocab_path):
    tokenizer = Tokenizer(vocab_path, never_split=["[CLS]", "[SEP]"])
    text = "[CLS]a[SEP]"
    tokens = tokenizer.tokenize(text)
    inner = [[0, 1, 2, 3, 4], [5], [6, 7, 8, 9, 10]]
    assert tokenizer.rematch(text, tokens) == [[], *inner, []]
    assert tokenizer.rematch(text, tokens[1:-1]) == inner


def test_translated_tokens(vocab_path):
    tokenizer = Tokenizer(vocab_path, token_translate={"的": "[unused1]", "我": "你"})
    text = "你的我"
    assert tokenizer.tokenize(text)[1:-1] == ["你", "[unused1]", "你"]
    assert tokenizer.rematch(text, tokenizer.tokenize(text)) == [[], [0], [1], [2], []]
    assert tokenizer.rematch("你x的我", ["[unused1]", "你"]) == [[2], [3]]


def test_token_that_is_not_there(lower):
    with pytest.raises(ValueError, match="token 1, 'zebra', does not occur"):
        lower.rematch("我爱你", ["我", "zebra"])


def random_texts(count: int) -> list[str]:
    generator = random.Random(5)
    blocks = [(0x20, 0x7F), (0, 0x300), (0x300, 0x370), (0x370, 0x600), (0x600, 0x3400), (0x4E00, 0x4F00)]
    blocks += [(0xA000, 0x10000), (0x10000, 0x1FFFF), (0x2F800, 0x2FA20), (0xE0000, 0xE0200), (0x302A, 0x3030)]
    special = "İΣσς\u0301\u0323\u302e\u302f\u1b44ﬁ한\u2028\x85\ufeff我,a "
    texts = []
    for _ in range(count):
        size = generator.randint(0, 24)
        picks = [chr(generator.randrange(*generator.choice(blocks))) for _ in range(size)]
        texts.append("".join(generator.choice(special) if generator.random() < 0.4 else char for char in picks))
    return texts


@pytest.mark.parametrize("name", ["google_lower", "google_cased"])
def test_random_unicode(tokenizers, name):
    tokenizer = tokenizers[name]
    texts = random_texts(3000)
    batch, _ = tokenizer.encode_batch(texts)
    for text, row in zip(texts, batch, strict=True):
        tokens = tokenizer.tokenize(text)
        ids = tokenizer.encode(text)[0]
        # The fast ways agree with the plain one: clean, then cut every word.
        words = clean(text, tokenizer._do_lower_case)
        slow = [piece for word in words for piece in tokenizer._word_piece_tokenize(word)]
        assert tokens[1:-1] == slow
        assert ids == tokenizer.tokens_to_ids(tokens) == row[: len(ids)].tolist()
        # Places are ordered, inside the text, and hold the characters of the token.
        spans = tokenizer.rematch(text, tokens)
        flat = [index for span in spans for index in span]
        assert flat == sorted(flat) and all(0 <= index < len(text) for index in flat)
        assert spans[0] == spans[-1] == [] and all(spans[1:-1])
        for token, span in zip(tokens[1:-1], spans[1:-1], strict=True):
            assert len(span) == len(stem(token))
            if not tokenizer._do_lower_case:
                assert "".join(text[index] for index in span) == stem(token)
            else:
                letters = unicodedata.normalize("NFD", "".join(text[i] for i in dict.fromkeys(span)).lower())
                assert set(stem(token)) <= {*letters, "ς", "σ"}  # which of the two depends on the whole text


def test_offsets_describe_clean():
    for text in random_texts(2000):
        for lower in (True, False):
            chars, offsets = clean_with_offsets(text, lower)
            assert chars == "".join(clean(text, lower)) and len(chars) == len(offsets)


def test_plain_characters_are_left_alone():
    for char in plain_isolated():
        assert is_isolated(char) and lowercase_and_strip(char) == char
        assert clean(f"a{char}b", True) == ["a", char, "b"] and not unicodedata.combining(char)


def test_categories_are_those_of_unicode_14():
    assert category("\u061d") == "Po" and category("\u1734") == "Mc"  # new in 14.0 for Python 3.10
    assert category("\u0ece") == "Cn" and category("\U00011b00") == "Cn"  # assigned after 14.0
    assert lowercase_and_strip("\U00010570\ua7c0") == "\U00010597\ua7c1"


@pytest.mark.parametrize("text", ["", "  İ我 ﬁ①爱\u200b你Ａ  ㈱x😀é e\u0301 ", "我们的中国hello 世界"])
def test_sentencepiece_places(sp_path, text):
    tokenizer = SpTokenizer(sp_path, token_start=None, token_end="</s>")
    tokens = tokenizer.tokenize(text)
    spans = tokenizer.rematch(text, tokens)
    assert len(spans) == len(tokens) and spans[-1] == []
    flat = [index for span in spans for index in span]
    assert flat == sorted(flat)
    # Everything but blanks is covered, and by the right piece.
    assert set(flat) == {index for index, char in enumerate(text) if not (char.isspace() or char == "\u200b")}
    for token, span in zip(tokens[:-1], spans, strict=False):
        assert token.strip("\u2581") in unicodedata.normalize("NFKC", "".join(text[index] for index in span))
    assert tokenizer.rematch(text, tokens[:2]) == spans[:2]
    with pytest.raises(ValueError, match="not pieces of this text"):
        tokenizer.rematch(text, ["zebra"])


def test_words_that_begin_as_pieces_do(vocab_path):
    """A pre_tokenize may leave '##' whole, which is how the vocabulary marks the inside of a word."""
    tokenizer = Tokenizer(vocab_path, pre_tokenize=str.split)
    assert surfaces(tokenizer, "### ##a a###") == [("###", "###"), ("##a", "##a"), ("a", "a"), *[("#", "#")] * 3]
    assert surfaces(tokenizer, "playing ##ing") == [("play", "play"), ("##ing", "ing"), ("##ing", "##ing")]
    assert tokenizer.rematch("### ##a", ["##a"]) == [[4, 5, 6]]


def test_words_are_normalized_once_more(vocab_path):
    """A mark that is dropped has kept two others apart, which then change places."""
    text = "a\u302e\u0900\u1b44b ##"
    tokenizer = Tokenizer(vocab_path, do_lower_case=True, pre_tokenize=str.split)
    assert surfaces(tokenizer, text)[0] == ("a\u1b44\u302eb", "a\u302e\u1b44b")


def test_texts_of_all_planes():
    """Every character is covered once, in order, but for white space and what is dropped (tests/fuzz/offsets.py)."""
    assert {name: wrong[:3] for name, wrong in run(2000).items() if wrong} == {}
