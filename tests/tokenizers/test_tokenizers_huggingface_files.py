"""The files of Hugging Face's tokenizers: vocab.json with merges.txt, companions, damaged and unusual ones."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tokenizers")

from toy_tokenizers import BYTES, TEXTS, byte_level, roberta, template, write

from bert4keras2.tokenizers import HuggingFaceTokenizer


@pytest.fixture
def byte_files(tmp_path):
    """Writes the vocab.json and merges.txt of a byte-level BPE into a folder, without a tokenizer.json."""

    def write(*special: str, **files: dict) -> Path:
        byte_level(list(special)).model.save(str(tmp_path))
        for name, content in files.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
        return tmp_path

    return write


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
        with pytest.raises(ValueError, match=r"tokenizer\.json'? (is empty|is not a JSON file|should hold|is neither)"):
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
