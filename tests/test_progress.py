"""Bars of long calls: when they appear, and that each long call has one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bert4keras2 import Generator, SentenceEncoder, build_transformer_model, progress
from bert4keras2.tokenizers import Tokenizer

GOLDEN = Path(__file__).parent / "golden/models"
SIZES = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8, "vocab_size": 9}


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer({token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"一二三四五"])})


@pytest.fixture(scope="module")
def encoder(tokenizer):
    return SentenceEncoder(build_transformer_model(SIZES), tokenizer, maxlen=8, batch_size=2)


@pytest.fixture(scope="module")
def generator(tokenizer):
    return Generator(build_transformer_model(SIZES, application="lm"), tokenizer, batch_size=2)


TEXTS = ["一", "二三", "四五一", "三二一五"]
CALLS = {
    "Encoding": lambda encoder, generator, option: encoder.encode(TEXTS, **option),
    "Whitening": lambda encoder, generator, option: encoder.fit_whitening(TEXTS, k=1, **option),
    "Generating": lambda encoder, generator, option: generator.generate(TEXTS, max_new_tokens=1, **option),
    "Loading": lambda encoder, generator, option: build_transformer_model(GOLDEN / "bert_encoder", **option),
}


@pytest.mark.parametrize("call", CALLS)
def test_long_calls_have_a_bar(call, encoder, generator, capsys, monkeypatch):
    title, total = {"Whitening": "Encoding"}.get(call, call), "/" if call == "Loading" else "4/4 "
    CALLS[call](encoder, generator, {"progress": True})
    shown = capsys.readouterr().err
    assert f"{title}: 100%" in shown and total in shown and shown.count("100%") == 1
    monkeypatch.setattr(progress, "interactive", lambda stream: True)
    CALLS[call](encoder, generator, {"progress": False})
    CALLS[call](encoder, generator, {})  # nothing here takes seconds
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "DELAY", 1e-9)
    CALLS[call](encoder, generator, {})
    shown = capsys.readouterr().err
    assert "\r" in shown and shown.rsplit("\r", 1)[1].strip() == ""  # shown, and wiped away


def test_nobody_looks_on():
    """Without a terminal there is no bar, and no package is imported for it."""
    code = (
        "import sys; from bert4keras2.progress import progress_bar, interactive\n"
        "with progress_bar('x', 1, 'y') as advance: advance(1)\n"
        "print('tqdm' in sys.modules, interactive(sys.stderr), interactive(None))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYCHARM_HOSTED"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)
    assert (done.stdout, done.stderr) == ("False False False\n", "")


def test_who_looks_on(monkeypatch):
    monkeypatch.delenv("PYCHARM_HOSTED", raising=False)
    assert not progress.interactive(object())
    monkeypatch.setitem(sys.modules, "ipykernel", progress)
    assert progress.interactive(object())


def test_errors_end_the_bar(capsys):
    with pytest.raises(ZeroDivisionError), progress.progress_bar("x", 2, "y", True) as advance:
        advance(1 // 0)
    assert "x:   0%" in capsys.readouterr().err
