"""Golden cases and the vocabularies that the tokenizer tests share."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from bert4keras2.tokenizers import Tokenizer

GOLDEN = Path(__file__).parents[1] / "golden" / "tokenizers"


def read_golden(name: str) -> list[dict]:
    with gzip.open(GOLDEN / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.fixture(scope="session")
def golden():
    """Reads one of the files of golden cases."""
    return read_golden


@pytest.fixture(scope="session")
def texts() -> dict[int, str]:
    return {item["i"]: item["text"] for item in read_golden("texts")}


@pytest.fixture(scope="session")
def vocab_path() -> str:
    return str(GOLDEN / "vocab.txt")


@pytest.fixture(scope="session")
def sp_path() -> str:
    return str(GOLDEN / "sp.model")


@pytest.fixture(scope="session")
def tokenizers() -> dict[str, Tokenizer]:
    return {
        "google_lower": Tokenizer(GOLDEN / "vocab.txt", do_lower_case=True),
        "google_cased": Tokenizer(str(GOLDEN / "vocab.txt")),
        "gau_lower": Tokenizer(GOLDEN / "vocab_gau.txt", do_lower_case=True),
    }


@pytest.fixture(scope="session")
def lower(tokenizers) -> Tokenizer:
    return tokenizers["google_lower"]


@pytest.fixture
def tiny_vocab() -> dict[str, int]:
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "我", "爱", "ab", "##c", "d", ",", "[", "mask", "]"]
    return {token: index for index, token in enumerate(tokens)}
