"""The snippets of docs/tokenizers.md run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


def test_snippets(tmp_path, monkeypatch):
    pytest.importorskip("jieba")
    pytest.importorskip("sentencepiece")
    pytest.importorskip("tokenizers")
    page = Path(__file__).parents[2] / "docs" / "tokenizers.md"
    if not page.exists():
        pytest.skip("the documentation is not part of this installation")
    snippets = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)
    assert len(snippets) > 8
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for snippet in snippets:
        exec(compile(snippet, str(page), "exec"), names)
