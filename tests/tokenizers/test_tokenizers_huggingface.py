"""tokenizer.json, vocab.json with merges.txt: ids of the reference libraries, special tokens, places, errors."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bert4keras2.tokenizers import HuggingFaceTokenizer, Tokenizer

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


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """For each kind a folder with its tokenizer.json."""
    found = {}
    for name, make in KINDS.items():
        found[name] = tmp_path_factory.mktemp(name)
        make().save(str(found[name] / "tokenizer.json"))
    return found


@pytest.fixture(params=sorted(KINDS))
def both(request, folders):
    """Our tokenizer and the library's of the same file."""
    path = folders[request.param] / "tokenizer.json"
    return HuggingFaceTokenizer(path), library.Tokenizer.from_file(str(path))


@pytest.fixture
def byte_files(tmp_path):
    """Writes the vocab.json and merges.txt of a byte-level BPE into a folder, without a tokenizer.json."""

    def write(*special: str, **files: dict) -> Path:
        byte_level(list(special)).model.save(str(tmp_path))
        for name, content in files.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
        return tmp_path

    return write


def write(tokenizer, path: Path) -> Path:
    tokenizer.save(str(path / "tokenizer.json"))
    return path / "tokenizer.json"


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


def test_vocab_and_merges(byte_files, folders):
    folder = byte_files(*BYTES)
    tokenizer = HuggingFaceTokenizer(folder)
    assert (tokenizer._token_start, tokenizer._token_end, tokenizer._token_pad) == ("<s>", "</s>", "<pad>")
    plain = HuggingFaceTokenizer(folders["roberta"])
    for text in TEXTS:
        assert tokenizer.encode(text, "我") == plain.encode(text, "我")
    # A mask stands for a word with its blank.
    assert tokenizer.tokenize("我 <mask>")[1:-1] == [*plain.tokenize("我")[1:-1], "<mask>"]
    shutil.copy(folder / "vocab.json", folder / "encoder.json")
    shutil.move(folder / "merges.txt", folder / "vocab.bpe")
    assert HuggingFaceTokenizer(folder / "encoder.json").encode("hello") == tokenizer.encode("hello")
    with pytest.raises(FileNotFoundError, match="no file .*merges.txt; the vocabulary beside it"):
        HuggingFaceTokenizer(folder / "vocab.json")


def test_companion_files(byte_files):
    mask = {"content": "<mask>", "lstrip": False}
    added = {"added_tokens_decoder": {"301": {"content": "[E2]", "special": True}}}
    folder = byte_files(
        *BYTES,
        special_tokens_map={"mask_token": mask, "unk_token": "<unk>"},
        tokenizer_config={"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True, "bos_token": "</s>", **added},
        added_tokens={"[E1]": 300},
    )
    tokenizer = HuggingFaceTokenizer(folder)
    assert tokenizer.tokenize("a <mask>[E1][E2]") == ["</s>", "a", "\u0120", "<mask>", "[E1]", "[E2]"]
    assert tokenizer.vocab_size == 302 and tokenizer._pattern == "S*E*E"
    assert tokenizer.decode(tokenizer.encode("a[E1][E2]")[0]) == "a[E1]"
    (folder / "added_tokens.json").write_text('{"[E1]": 305}')
    with pytest.raises(ValueError, match=r"vocab.json: the added token '\[E.\]' should have the id 30."):
        HuggingFaceTokenizer(folder)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "CLIPTokenizer"}')
    with pytest.raises(
        ValueError, match=r"of a CLIPTokenizer.*expected one of GPT2Tokenizer, RobertaTokenizer, .*save"
    ):
        HuggingFaceTokenizer(folder)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": ')
    with pytest.raises(ValueError, match=r"tokenizer_config\.json is not a JSON file"):
        HuggingFaceTokenizer(folder)


def test_damaged_vocab_and_merges(byte_files):
    folder = byte_files("<|endoftext|>")
    merges = (folder / "merges.txt").read_text(encoding="utf-8")
    (folder / "merges.txt").write_text("\ufeff" + merges, encoding="utf-8", newline="\r\n")
    assert HuggingFaceTokenizer(folder).encode("hello")[0]
    (folder / "merges.txt").write_text(merges + "one\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"merges.txt, line \d+: expected two tokens .* not 'one'"):
        HuggingFaceTokenizer(folder)
    (folder / "merges.txt").write_text(merges + "no such\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"vocab.json and merges.txt do not fit together"):
        HuggingFaceTokenizer(folder)
    (folder / "vocab.json").write_text('{"a": "b"}')
    with pytest.raises(ValueError, match=r"vocab.json is neither a tokenizer.json .* nor the vocabulary"):
        HuggingFaceTokenizer(folder)


def test_damaged_files(folders, tmp_path):
    path = tmp_path / "tokenizer.json"
    content = (folders["gpt2"] / "tokenizer.json").read_text(encoding="utf-8")
    path.write_text("\ufeff" + content, encoding="utf-8")
    assert HuggingFaceTokenizer(path).vocab_size == 300
    for bad in ("", content[:1000], "garbage", "[]", "{}"):
        path.write_text(bad, encoding="utf-8")
        with pytest.raises(ValueError, match=r"tokenizer\.json (is not a JSON file|should hold|is neither)"):
            HuggingFaceTokenizer(path)
    file = json.loads(content)
    path.write_text(json.dumps({**file, "model": {**file["model"], "type": "Foo"}}))
    with pytest.raises(ValueError, match=r"tokenizer\.json: the model type 'Foo' is unknown; expected one of BPE, Wo"):
        HuggingFaceTokenizer(path)
    path.write_text(json.dumps({**file, "pre_tokenizer": {"type": "Foo"}}))
    with pytest.raises(ValueError, match=r"tokenizer\.json is not a tokenizer\.json that tokenizers \d.* reads"):
        HuggingFaceTokenizer(path)
    with pytest.raises(FileNotFoundError, match=r"no file .*none\.json"):
        HuggingFaceTokenizer(tmp_path / "none.json")
    path.rename(tmp_path / "other.txt")
    with pytest.raises(
        FileNotFoundError, match=r"no tokenizer.json, nor vocab.json with merges.txt; it has 'other.txt'"
    ):
        HuggingFaceTokenizer(tmp_path)


def test_unusual_templates(tmp_path):
    tokenizer = roberta()
    tokenizer.post_processor = template(tokenizer, "<s> <mask> $A </s>", "$A $B")
    path = write(tokenizer, tmp_path)
    with pytest.raises(ValueError, match=r"puts <s> <mask> A </s> for a text A; supported is one token before"):
        HuggingFaceTokenizer(path)
    assert HuggingFaceTokenizer(path, token_start="<mask>", token_end=None).encode("")[0] == [4]
    tokenizer.post_processor = template(tokenizer, "<s> $A </s>", "<s> $A <mask> $B </s>")
    odd = HuggingFaceTokenizer(write(tokenizer, tmp_path))
    assert odd.encode("")[0] == [0, 2] and odd.encode_batch(["", ""])[0].tolist() == [[0, 2]] * 2
    for call in (lambda: odd.encode("", ""), lambda: odd.encode_batch([""], [""])):
        with pytest.raises(ValueError, match=r"pattern='<s> A <mask> B </s>' is unknown; use one of 'S\*E\*E'"):
            call()
    assert odd.encode("", "", pattern="S*E*E")[0] == [0, 2, 2]


def test_without_the_library(folders, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ImportError, match=r'pip install "bert4keras2\[tokenizers\]"'):
        HuggingFaceTokenizer(folders["gpt2"])
    code = "import sys, bert4keras2.tokenizers; sys.exit('tokenizers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_texts_must_be_sound(folders):
    tokenizer = HuggingFaceTokenizer(folders["gpt2"])
    for call in (tokenizer.tokenize, tokenizer.encode, lambda text: tokenizer.encode_batch(["a", text])):
        with pytest.raises(ValueError, match=r"'a\\ud800b' cannot be cut into tokens: it holds half of a surrogate"):
            call("a\ud800b")
        with pytest.raises(TypeError, match="must be a str"):
            call(b"abc")


@pytest.mark.parametrize("name, special", [("Roberta", BYTES), ("GPT2", ["<|endoftext|>"])])
def test_ids_are_those_of_transformers(name, special, byte_files, tmp_path):
    transformers = pytest.importorskip("transformers")
    folder = byte_files(*special, config={"model_type": name.lower()})
    theirs = getattr(transformers, f"{name}TokenizerFast").from_pretrained(folder)
    theirs.save_pretrained(tmp_path / "saved")
    for path in (folder, tmp_path / "saved"):
        ours = HuggingFaceTokenizer(path)
        for text in TEXTS:
            assert ours.encode(text)[0] == theirs(text)["input_ids"]
            assert ours.encode(text, "我们")[0] == theirs(text, "我们")["input_ids"]
            for size in (4, 5, 8):
                assert ours.encode(text, maxlen=size)[0] == theirs(text, max_length=size, truncation=True)["input_ids"]
        if name == "Roberta":
            batch = theirs(TEXTS, padding=True)["input_ids"]
            assert ours.encode_batch(TEXTS)[0].tolist() == batch
        assert ours.vocab_size == len(theirs)
