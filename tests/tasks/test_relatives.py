"""Generators and encoders of vectors follow the conventions of tasks: `from_checkpoint`, `save`, `load_task`."""

from __future__ import annotations

import json

import numpy as np
import pytest
from task_cases import SIZES

from bert4keras2.commands import predict
from bert4keras2.decoders import Generator
from bert4keras2.embeddings import SentenceEncoder
from bert4keras2.errors import CheckpointFormatError
from bert4keras2.models import build_transformer_model
from bert4keras2.tasks import load_task
from bert4keras2.tokenizers import load_tokenizer

pytestmark = pytest.mark.backend


def test_a_generator_comes_back(checkpoint, tmp_path, capsys):
    """With its application, ends and limits; what was generated before is generated again."""
    own = Generator(
        build_transformer_model(SIZES, application="unilm"),
        load_tokenizer(checkpoint),
        maxlen=8,
        segment=1,
        end_id=[3, 5],
    )
    own.save(tmp_path / "folder")
    back = load_task(tmp_path / "folder")
    assert type(back) is Generator and (back.end_ids, back.prompter.maxlen) == ((3, 5), 8)
    options = {"max_new_tokens": 6, "strategy": "greedy"}
    assert back.generate("小明在北京", **options) == own.generate("小明在北京", **options)
    assert Generator.from_checkpoint(tmp_path / "folder", maxlen=4).prompter.maxlen == 4
    assert predict.main([str(tmp_path / "folder"), str(tmp_path / "folder" / "vocab.txt")]) == 1
    assert "holds a Generator, which is used in Python" in capsys.readouterr().err
    said = json.loads((tmp_path / "folder" / "generator.json").read_text(encoding="utf-8"))
    (tmp_path / "folder" / "generator.json").write_text(json.dumps({**said, "format": 9}))
    with pytest.raises(CheckpointFormatError, match="newer version"):
        load_task(tmp_path / "folder")


def test_what_a_folder_cannot_keep(checkpoint, tmp_path):
    bert = build_transformer_model(SIZES, application="lm")
    with pytest.raises(ValueError, match="prompt= is a function"):
        Generator(bert, load_tokenizer(checkpoint), prompt=lambda text: [2]).save(tmp_path)
    with pytest.raises(ValueError, match="this generator has none"):
        Generator(bert, end_id=3).save(tmp_path)


def test_an_encoder_comes_back(checkpoint, tmp_path):
    own = SentenceEncoder.from_checkpoint(checkpoint, pooling="cls", maxlen=12)
    own.save(tmp_path / "folder")
    back = load_task(tmp_path / "folder")
    assert type(back) is SentenceEncoder and back.maxlen == 12
    np.testing.assert_allclose(back.encode(["小明在北京"]), own.encode(["小明在北京"]), atol=1e-6)
