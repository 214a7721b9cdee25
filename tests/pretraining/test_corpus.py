"""From files to shards: what is read, what is refused, what an interrupted run keeps."""

from __future__ import annotations

import gzip
import json
import os

import numpy as np
import pytest

from bert4keras2.pretraining import CorpusError, tokenize
from bert4keras2.pretraining.corpus import corpus_files, read_passages
from bert4keras2.pretraining.shards import Shards
from bert4keras2.pretraining.tokenize import tokenize_corpus
from bert4keras2.pretraining.vocabulary import count_words, make_vocabulary
from bert4keras2.pretraining.words import CONTINUES, SENTENCE, WORD, Annotator


def test_files_of_all_kinds(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "a.txt").write_bytes("\ufeff第一段\n\n第二段\n".encode())
    with gzip.open(tmp_path / "inner" / "b.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(json.dumps({"text": "第三段", "same": ["第四段"]}) + "\n")
    (tmp_path / "notes.md").write_text("不读")
    files = corpus_files(tmp_path)
    assert [os.path.basename(path) for path in files] == ["a.txt", "b.jsonl.gz"]
    texts = [passage.texts for passage in read_passages(files, group_field="same")]
    assert texts == [("第一段",), ("第二段",), ("第三段", "第四段")]
    assert corpus_files([str(tmp_path / "*.txt")]) == [files[0]]
    (tmp_path / "old.txt").write_bytes("旧文".encode("gb18030"))
    assert [p.texts for p in read_passages([str(tmp_path / "old.txt")], encoding="gb18030")] == [("旧文",)]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", "好\n".encode() + "坏".encode("gb18030"), ("a.txt, line 2", "gb18030")),
        ("a.txt", b"x" * (2**20 + 2), ("line 1", "longer")),
        ("a.jsonl", b'{"text": "a"}\n{"title": "b"}', ("line 2", "'title'", "field=")),
        ("a.jsonl", b"{oh", ("line 1", "JSON")),
        ("a.txt.gz", b"\x1f\x8b nothing", ("a.txt.gz", "cannot be read")),
    ],
)
def test_damaged_files_are_named_with_the_line(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError) as error:
        list(read_passages([str(tmp_path / name)]))
    assert all(word in str(error.value) for word in words)


def test_no_corpus(tmp_path, tokenizer):
    for sources, words in ((tmp_path, "holds no .txt"), (tmp_path / "no.txt", "does not exist"), ([], "empty")):
        with pytest.raises(CorpusError, match=words):
            corpus_files(sources)
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(CorpusError, match=r"empty: no text in .*empty\.txt"):
        tokenize_corpus(tmp_path, tokenizer, tmp_path / "shards", progress=False)


def test_flags(tokenizer):
    ids, flags = Annotator(tokenizer)("科学家发现新的手机。老师喜欢历史书。")
    tokens = tokenizer.ids_to_tokens(ids)
    words = "".join(f"|{token}" if flag & WORD else token for token, flag in zip(tokens, flags, strict=True))
    assert words == "|科学家|发现|新|的|手机|。|老师|喜欢|历史|书|。"
    assert [tokens[i] for i in np.flatnonzero(flags & SENTENCE)] == ["科", "老"]
    assert Annotator(tokenizer, "tokens")("科学家")[1].tolist() == [WORD | SENTENCE, WORD, WORD]
    with pytest.raises(ValueError, match="jieba"):
        Annotator(tokenizer, "lac")


def test_vocabulary_by_counts():
    counts = count_words(["猫猫猫 狗狗 鸟 hello hello world", "猫"])
    made = make_vocabulary(counts, 83, characters=0.8)
    new = [token for token in made if token in counts]
    assert new == ["猫", "狗", "hello", "world"] and list(made.values()) == list(range(len(made)))
    assert {"[PAD]", "[MASK]", "a", "##z", "7"} <= set(made) and made["[PAD]"] == 0
    assert "world" not in make_vocabulary(counts, len(made) - 1, characters=0.8)
    with pytest.raises(ValueError, match="vocab_size=10 is too small"):
        make_vocabulary(counts, 10)


def test_shards_hold_all_tokens(shards, corpus, tokenizer):
    texts = corpus.read_text(encoding="utf-8").split("\n")
    assert len(shards) == len(texts) == shards.manifest["texts"]
    for index in (0, 17, 399):
        ids, flags = shards[index]
        assert ids.tolist() == tokenizer.encode(texts[index])[0][1:-1] and flags[0] & SENTENCE
        assert len(ids) == shards.lengths[index]
    assert shards.manifest["tokens"] == shards.lengths.sum() and not shards.continues.any()


def test_groups(group_shards):
    assert group_shards.continues.tolist() == [False, True, True] * 60
    assert group_shards[1][1][0] & CONTINUES


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(tokenize, "SHARD_CHARACTERS", 2000)


def test_parallel_and_resumed_shards_are_the_same(small, corpus, tokenizer, tmp_path, monkeypatch):
    one, two, cut = tmp_path / "one", tmp_path / "two", tmp_path / "cut"
    tokenize_corpus(corpus, tokenizer, one, progress=False)
    tokenize_corpus(corpus, tokenizer, two, workers=2, progress=False)
    write, left = tokenize.write_shard, [3]

    def interrupted(*args):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return write(*args)

    monkeypatch.setattr(tokenize, "write_shard", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tokenize_corpus(corpus, tokenizer, cut, progress=False)
    with pytest.raises(CorpusError, match="was not finished"):
        Shards(cut)
    made = []
    monkeypatch.setattr(
        tokenize, "write_shard", lambda folder, number, texts: (made.append(number), write(folder, number, texts))[1]
    )
    tokenize_corpus(corpus, tokenizer, cut, progress=False)
    assert made[0] == 2 and len(made) == len(Shards(one).manifest["shards"]) - 2
    names = sorted(path.name for path in one.iterdir())
    assert len(names) > 12
    for folder in (two, cut):
        assert sorted(path.name for path in folder.iterdir()) == names
        assert all((folder / name).read_bytes() == (one / name).read_bytes() for name in names)


def test_damaged_shards_are_named_and_made_anew(small, corpus, tokenizer, tmp_path):
    tokenize_corpus(corpus, tokenizer, tmp_path, progress=False)
    path = tmp_path / "000001.ids.npy"
    whole = path.read_bytes()
    for content, words, options in (
        (whole[:-2], "bytes instead of", {}),
        (whole[:-2] + b"\1\1", "checksum", {"verify": True}),
        (None, "is missing", {}),
    ):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(CorpusError, match=rf"000001\.ids\.npy.*{words}"):
            Shards(tmp_path, **options)
        tokenize_corpus(corpus, tokenizer, tmp_path, progress=False)
        assert path.read_bytes() == whole


def test_a_corpus_that_changed(small, corpus, tokenizer, tmp_path):
    text = corpus.read_text(encoding="utf-8")
    (tmp_path / "c.txt").write_text(text, encoding="utf-8")
    tokenize_corpus(tmp_path / "c.txt", tokenizer, tmp_path / "s", progress=False)
    for changed, words in ((text.replace("小明", "小王"), "the corpus changed"), (text[:3000], "fewer texts|changed")):
        (tmp_path / "c.txt").write_text(changed, encoding="utf-8")
        with pytest.raises(CorpusError, match=words):
            tokenize_corpus(tmp_path / "c.txt", tokenizer, tmp_path / "s", progress=False)
    (tmp_path / "c.txt").write_text(text, encoding="utf-8")
    with pytest.raises(CorpusError, match="words cut otherwise"):
        tokenize_corpus(tmp_path / "c.txt", tokenizer, tmp_path / "s", words="tokens", progress=False)
    other = type(tokenizer)(
        {token: index for index, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "一"])}
    )
    with pytest.raises(CorpusError, match="another vocabulary"):
        tokenize_corpus(tmp_path / "c.txt", other, tmp_path / "s", progress=False)


def test_a_full_disk(small, corpus, tokenizer, tmp_path, monkeypatch):
    tokenize_corpus(corpus, tokenizer, tmp_path / "whole", progress=False)
    save, left = np.save, [7]

    def full(path, array):
        left[0] -= 1
        if left[0] <= 0:
            raise OSError(28, "No space left on device")
        save(path, array)

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(CorpusError, match=r"shard 2 cannot be written.*No space left.*kept"):
        tokenize_corpus(corpus, tokenizer, tmp_path / "s", progress=False)
    assert not [name for name in os.listdir(tmp_path / "s") if "partial" in name or name.startswith("000002")]
    monkeypatch.setattr(np, "save", save)
    assert len(tokenize_corpus(corpus, tokenizer, tmp_path / "s", progress=False)) == 400
