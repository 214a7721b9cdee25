"""Golden cases and the vocabularies that the tokenizer tests share."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bert4keras2.tokenizers import Tokenizer


@pytest.fixture(scope="session")
def folder() -> Path:
    """The folder of golden cases."""
    return Path(__file__).parents[1] / "golden" / "tokenizers"


@pytest.fixture(scope="session")
def cases(folder) -> Callable[[str], Any]:
    """Reads one of the files of golden cases."""

    def read(name: str) -> Any:
        if name == "simplified":
            with gzip.open(folder / "simplified.json.gz", "rt", encoding="utf-8") as file:
                return json.load(file)
        with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    return read


@pytest.fixture(scope="session")
def texts(cases) -> dict[int, str]:
    """The strings that the cases refer to."""
    return {item["i"]: item["text"] for item in cases("texts")}


@pytest.fixture(scope="session")
def vocab_path(folder) -> str:
    return str(folder / "vocab.txt")


@pytest.fixture(scope="session")
def sp_path(folder) -> str:
    pytest.importorskip("sentencepiece")
    return str(folder / "sp.model")


@pytest.fixture(scope="session")
def tokenizers(folder) -> dict[str, Tokenizer]:
    return {
        "google_lower": Tokenizer(folder / "vocab.txt", do_lower_case=True),
        "google_cased": Tokenizer(str(folder / "vocab.txt")),
        "gau_lower": Tokenizer(folder / "vocab_gau.txt", do_lower_case=True),
    }


@pytest.fixture(scope="session")
def lower(tokenizers) -> Tokenizer:
    return tokenizers["google_lower"]


@pytest.fixture
def tiny_vocab() -> dict[str, int]:
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "我", "爱", "ab", "##c", "d", ",", "[", "mask", "]"]
    return {token: index for index, token in enumerate(tokens)}


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> dict[str, Path]:
    """For each kind of toy tokenizers a folder with its tokenizer.json."""
    from toy_tokenizers import KINDS

    found = {}
    for name, make in KINDS.items():
        found[name] = tmp_path_factory.mktemp(name)
        make().save(str(found[name] / "tokenizer.json"))
    return found
