"""The snippets of docs/optimizers.md run, and its tables name what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bert4keras2 import optimizers
from bert4keras2.optimizers.extend import RULES

pytestmark = pytest.mark.backend
PAGE = (Path(__file__).parent.parent.parent / "docs" / "optimizers.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.S | re.M)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_snippet(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(BLOCKS[number], f"optimizers.md, block {number}", "exec"), {"__name__": "docs"})


def test_everything_is_shown():
    """Each class and factory has a snippet, and the table gives the factories' real defaults."""
    shown = "".join(BLOCKS)
    for name in optimizers.__all__:
        hidden = name.endswith("_v2") or name in ("Extended", "Lion", "RelativeStep")
        assert hidden or re.search(rf"\b{name}\b", shown), name
    for rule, kind in RULES.items():
        (row,) = re.findall(rf"^\| `extend_with_{rule}` \| (.*) \|$", PAGE, re.M)
        wanted = [f"`{k}={[] if v == () else v!r}`" for k, v in kind.keywords.items()]
        assert row == ", ".join(wanted)
