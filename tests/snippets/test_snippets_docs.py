"""The snippets of docs/snippets.md run, and show every public name."""

import pathlib
import re

import pytest

from bert4keras2 import snippets

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "snippets.md").read_text("utf-8")
CODE = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))


def test_every_public_name_is_shown():
    assert [name for name in snippets.__all__ if not re.search(rf"\b{name}\b", CODE)] == []


@pytest.mark.backend
def test_snippets_run():
    pytest.importorskip("tensorflow")  # to_dataset
    exec(compile(CODE, "docs/snippets.md", "exec"), {"__name__": "docs"})
