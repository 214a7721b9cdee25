"""The Python blocks of the documentation run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def blocks(page: str) -> list[str]:
    """Return the Python blocks of a page."""
    return re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.S | re.M)


PAGES = ["models", "checkpoints", "training", "training_techniques", "decoding", "optimizers", "embeddings"]
PAGES += ["generation", "new_family", "new_technique", "clue", "tasks", "pictures", "attention", "sentence_training"]
PAGES += ["prompting", "parameter_efficient"]


@pytest.mark.eager
@pytest.mark.parametrize("page", [f"docs/{name}.md" for name in PAGES])
def test_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    found = blocks(page)
    assert found
    names = {"__name__": "docs"}  # later blocks of a page go on from earlier ones
    for block in found:
        exec(compile(block, page, "exec"), names)


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_readme(page, tmp_path, monkeypatch, capsys):
    """README's first lines answer with sense, and its snippet runs on a folder as released checkpoints have it."""
    import json

    from bert4keras2.models import build_transformer_model
    from bert4keras2.tokenizers import save_vocab

    *small, block = blocks(page)
    folder = tmp_path / re.search(r'folder = "(.*?)"', block)[1]
    folder.mkdir()
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"这部电影太好看了浪费两个小时"]
    save_vocab(folder / "vocab.txt", {token: i for i, token in enumerate(dict.fromkeys(tokens))})
    sizes = {"vocab_size": len(set(tokens)), "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    sizes["intermediate_size"] = 16
    (folder / "bert_config.json").write_text(json.dumps(sizes))
    bert = build_transformer_model(sizes, return_keras_model=False)
    bert.save_weights_as_checkpoint(folder / "bert_model.ckpt")
    monkeypatch.chdir(tmp_path)
    for part in small:
        exec(compile(part, page, "exec"), {"__name__": "docs"})
    assert capsys.readouterr().out.startswith("[('外面天气真好，想去公园', 0.")
    exec(compile(block, page, "exec"), {"__name__": "docs"})


def test_readmes_say_the_same():
    """What is not prose is in both: code, commands, links, numbers, headings; each leads to the other at its top."""
    english, chinese = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md"))
    assert "[简体中文](README.zh-CN.md)" in english[:60] and "[English](README.md)" in chinese[:60]

    def facts(text: str) -> dict[str, list[str]]:
        text = text.partition("\n# ")[2]
        fenced = [re.sub(r" *#.*", "", block) for block in re.findall(r"^```(.*?)^```", text, re.S | re.M)]
        prose = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
        return {
            "fenced": fenced,
            "spans": sorted(re.findall(r"`([^`\n]+)`", prose)),
            "links": sorted(re.findall(r"\]\((.*?)\)", prose)),
            "numbers": sorted(re.findall(r"\d+(?:\.\d+)?", re.sub(r"\]\(.*?\)", "", prose))),
            "headings": re.findall(r"^#+", prose, re.M),
        }

    assert facts(chinese) == facts(english)


def test_the_page_for_readers_counts_right():
    """Where this fails, `python tests/reading.py` prints the numbers that docs/reading.md should have."""
    from reading import counted

    rows = counted()
    assert len(rows) == 15
    for files, said, lines in rows:
        assert abs(said - lines) <= 10, files
    assert 3600 <= sum(lines for *_, lines in rows) <= 4700
