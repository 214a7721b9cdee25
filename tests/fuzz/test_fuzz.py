"""A few mutated files of each format: read right, or refused by an error that names the file, within limits."""

from __future__ import annotations

import importlib.util
import os

import pytest

from tests.fuzz.formats import FORMATS
from tests.fuzz.runner import fuzz

CASES = int(os.environ.get("FUZZ_CASES", 100))
NEEDED = {"torch": "torch", "torch_legacy": "torch", "vocabulary": "sentencepiece"}


@pytest.mark.parametrize("name", FORMATS)
def test_mutated_files(name: str) -> None:
    if name in NEEDED and importlib.util.find_spec(NEEDED[name]) is None:
        pytest.skip(f"needs {NEEDED[name]}")
    failures, read = fuzz(name, CASES)
    assert failures == []
    assert 0 < read < CASES  # some changes do not matter, most do
