"""Scripts find the decoders in snippets, and the code of the page runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = re.findall(r"^```python\n(.*?)^```", (DOCS / "decoding.md").read_text("utf-8"), re.S | re.M)
HEAVY = ("keras", "tensorflow", "jax", "torch")


def python(code: str) -> str:
    """Run code in a new interpreter and return what it prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_snippets_need_no_keras():
    code = "import sys, bert4keras2.snippets;"
    assert python(f"{code} print([m for m in {HEAVY} if m in sys.modules])") == "[]"


def test_snippets_look_decoders_up_when_used():
    code = "import sys, bert4keras2.snippets as s; before = 'bert4keras2.decoders' in sys.modules;"
    assert (
        python(f"{code} s.AutoRegressiveDecoder; print(before, 'bert4keras2.decoders' in sys.modules)") == "False True"
    )


def test_same_objects():
    from bert4keras2 import decoders, snippets

    assert snippets.AutoRegressiveDecoder is decoders.AutoRegressiveDecoder
    assert snippets.ViterbiDecoder is decoders.ViterbiDecoder
    assert {"AutoRegressiveDecoder", "ViterbiDecoder", "DataGenerator"} <= set(dir(snippets))
    with pytest.raises(AttributeError, match="has no attribute 'BeamDecoder'"):
        _ = snippets.BeamDecoder
    for name in decoders.__all__:
        assert callable(getattr(decoders, name))


def test_pages_show_every_public_name():
    from bert4keras2 import decoders

    shown = "".join((DOCS / f"{page}.md").read_text("utf-8") for page in ("decoding", "generation", "generation_uses"))

    assert [name for name in decoders.__all__ if not re.search(rf"\b{name}\b", shown)] == []


@pytest.mark.backend
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_page_runs(number):
    exec(compile(BLOCKS[number], "docs/decoding.md", "exec"), {"__name__": "docs"})
