"""Agreement with the reference outputs, string by string."""

from __future__ import annotations

import json

import pytest

from bert4keras2.tokenizers import SpTokenizer, Tokenizer, load_vocab

# The reference computes indices into the lower-cased text, which is longer than the original after an 'İ' (it becomes
# 'i' and a combining dot): from there on its indices are too large, and run past the end of the text.
DOTTED_I = "İ"


def check(tokenizer: Tokenizer, case: dict, text: str) -> None:
    tokens = tokenizer.tokenize(text)
    if "tokens" in case:
        assert tokens == case["tokens"]
    if "unk" in case:
        assert [token for token in tokens if token not in tokenizer._token_dict] == case["unk"]
    ids, segments = tokenizer.encode(text)
    assert ids == case["ids"]
    assert segments == [0] * len(ids)
    assert tokenizer.decode(ids) == case["decode"]
    if "rematch" in case and DOTTED_I not in text:
        assert tokenizer.rematch(text, tokens) == case["rematch"]


@pytest.mark.parametrize("name", ["google_lower", "google_cased", "gau_lower"])
def test_tokenizer(name, tokenizers, cases, texts):
    assert len(cases(name)) > 1000
    for case in cases(name):
        check(tokenizers[name], case, texts[case["i"]])


def test_rematch_differs_from_the_reference_only_where_that_is_wrong(lower, cases, texts):
    differing = []
    for case in cases("google_lower"):
        text = texts[case["i"]]
        spans = lower.rematch(text, lower.tokenize(text))
        if spans != case["rematch"]:
            differing.append(text)
            wrong = [index for span in case["rematch"] for index in span]
            dropped = [text[index : index + 1].lower() for index in wrong]
            assert max(wrong) >= len(text) or any(c.isspace() for c in dropped) or DOTTED_I in text[: max(wrong)]
    assert differing and all(DOTTED_I in text for text in differing)


def test_batch_equals_single(tokenizers, cases, texts):
    for name, tokenizer in tokenizers.items():
        recorded = cases(name)
        ids, segments = tokenizer.encode_batch([texts[case["i"]] for case in recorded])
        assert ids.dtype == segments.dtype == "int32" and not segments.any()
        for row, case in zip(ids.tolist(), recorded, strict=True):
            assert row[: len(case["ids"])] == case["ids"]
            assert not any(row[len(case["ids"]) :])


def test_pairs(tokenizers, cases):
    for case in cases("pairs"):
        tokenizer, first, second = tokenizers[case["tokenizer"]], case["first"], case["second"]
        for run in case["runs"]:
            options = {key: run[key] for key in ("maxlen", "pattern", "truncate_from") if key in run}
            ids, segments = tokenizer.encode(first, None if run.get("single") else second, **options)
            assert ids == run["ids"], options
            assert segments == [0] * (len(ids) - run["ones"]) + [1] * run["ones"], options
            pairs = None if run.get("single") else [second, second]
            batch, batch_segments = tokenizer.encode_batch([first, first], pairs, **options)
            assert batch.tolist() == [ids, ids] and batch_segments.tolist() == [segments, segments], options
        if "from_tokens" in case:
            given = case["from_tokens"]
            result = tokenizer.encode(given["first"], given["second"], maxlen=given["maxlen"])
            assert list(result) == given["result"]


def test_options(cases, vocab_path):
    tokenizers = {}
    for case in cases("options"):
        name = case["option"]
        if name not in tokenizers:
            tokenizers[name] = Tokenizer(vocab_path, do_lower_case=True, **case["kwargs"])
        tokenizer, text = tokenizers[name], case["text"]
        tokens = tokenizer.tokenize(text)
        ids, _ = tokenizer.encode(text)
        assert tokens == case["tokens"]
        assert ids == case["ids"]
        assert tokenizer.tokenize(text, maxlen=8) == case["tokenize_maxlen_8"]
        assert tokenizer.encode(text, text[::-1], maxlen=16) == tuple(case["encode_pair_maxlen_16"])
        ids_batch, segments_batch = tokenizer.encode_batch([text], [text[::-1]], maxlen=16)
        assert [ids_batch[0].tolist(), segments_batch[0].tolist()] == case["encode_pair_maxlen_16"]
        assert tokenizer.decode(ids) == case["decode"]
        assert tokenizer.decode(ids, tokens) == case["decode_with_tokens"]
        if DOTTED_I in text:
            continue
        spans = tokenizer.rematch(text, tokens)
        if name == "translate":
            # The reference looks for the translated token in the text: it raises, or gives no place at all to one in
            # brackets. The place is that of the token of the text.
            plain = Tokenizer(vocab_path, do_lower_case=True)
            assert spans == plain.rematch(text, plain.tokenize(text))
        if name != "translate" or not set(case["kwargs"]["token_translate"]) & set(plain.tokenize(text)[1:]):
            assert spans == case["rematch"]


def test_words(cases, texts, folder):
    pytest.importorskip("jieba")
    tokenizer = Tokenizer(folder / "vocab_words.txt", do_lower_case=True, pre_tokenize="jieba")
    for case in cases("words"):
        check(tokenizer, case, texts[case["i"]])


def test_words_from_recorded_pieces(cases, texts, folder):
    for case in cases("words"):
        pieces = case["pieces"]
        tokenizer = Tokenizer(folder / "vocab_words.txt", do_lower_case=True, pre_tokenize=lambda _, p=pieces: p)
        check(tokenizer, case, texts[case["i"]])


@pytest.mark.parametrize("name", ["google", "gau"])
def test_simplified(name, cases, folder):
    case = cases("simplified")[name]
    path = folder / {"google": "vocab.txt", "gau": "vocab_gau.txt"}[name]
    token_dict, keep_tokens = load_vocab(path, simplified=True, startswith=case["startswith"])
    assert list(token_dict) == case["tokens"]
    assert list(token_dict.values()) == list(range(len(token_dict)))
    assert keep_tokens == case["keep_tokens"]


def test_simplified_ids(cases, texts, vocab_path):
    recorded = cases("simplified")
    token_dict, _ = load_vocab(vocab_path, simplified=True, startswith=recorded["google"]["startswith"])
    tokenizer = Tokenizer(token_dict, do_lower_case=True)
    for case in recorded["google_ids"]:
        assert tokenizer.encode(texts[case["i"]])[0] == case["ids"]


def test_sentencepiece(cases, texts, sp_path):
    t5 = {"token_start": None, "token_end": "</s>"}
    tokenizers = {
        "t5": SpTokenizer(sp_path, **t5),
        "default": SpTokenizer(sp_path),
        "translate": SpTokenizer(sp_path, token_translate={"\u2581": "<pad>"}, **t5),
    }
    for case in cases("sp"):
        tokenizer = tokenizers[case["tokenizer"]]
        if "first" in case:
            pair = case["first"], case["second"]
            assert list(tokenizer.encode(*pair)) == case["encode"]
            assert list(tokenizer.encode(*pair, maxlen=20)) == case["encode_maxlen_20"]
            assert list(tokenizer.encode(*pair, maxlen=20, truncate_from="left")) == case["encode_left"]
            ids, segments = tokenizer.encode_batch([pair[0]], [pair[1]], maxlen=20)
            assert [ids[0].tolist(), segments[0].tolist()] == case["encode_maxlen_20"]
            continue
        text = texts[case["i"]]
        assert tokenizer.tokenize(text) == case["tokens"]
        ids, _ = tokenizer.encode(text)
        assert ids == case["ids"]
        assert tokenizer.decode(ids) == case["decode"]
        assert list(tokenizer.encode(text, maxlen=10)) == case["encode_maxlen_10"]


def test_attributes(lower, sp_path, folder):
    info = json.loads((folder / "info.json").read_text(encoding="utf-8"))
    for name, value in info["attributes"].items():
        assert getattr(lower, name) == value
    for token, id in info["google"]["ids"].items():
        assert lower.token_to_id(token) == id and lower.id_to_token(id) == token
    sp = SpTokenizer(sp_path)
    assert (sp._vocab_size, sp._token_pad, sp._token_unk) == tuple(info["sp"][k] for k in ("vocab_size", "pad", "unk"))
    size = sp._vocab_size
    assert [sp.id_to_token(size), sp.id_to_token(size + 1)] == info["sp"]["ids_outside"]
    assert sp.decode([size, size + 1]) == ""
    # The ids that were asked: padding, end, unknown, two pieces, one outside.
    assert [sp._is_decodable(id) for id in (0, 1, 2, 3, 4, size)] == info["sp"]["decodable"]
