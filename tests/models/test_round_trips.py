"""What is saved as a checkpoint is loaded bit by bit."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from cases import BASE, build, randomize
from test_loading import values

from bert4keras2.checkpoints import open_checkpoint
from bert4keras2.models import build_transformer_model

pytestmark = pytest.mark.backend

# -- round trips -------------------------------------------------------------------------------------------------

HEADS = {"with_nsp": True, "with_pool": True, "with_mlm": True}


@pytest.mark.filterwarnings("ignore:Released")
@pytest.mark.parametrize("file", ["model.ckpt", "model.safetensors"])
@pytest.mark.parametrize("case", ["bert", "bert-narrow", "roformer", "roformer_v2", "bert-no-segments"])
def test_round_trip(case, file, tmp_path):
    options = {
        "bert": HEADS,
        "bert-narrow": {**HEADS, "embedding_size": 8},
        "roformer": {**HEADS, "embedding_size": 8, "model": "roformer"},
        "roformer_v2": {"with_mlm": True, "model": "roformer_v2"},
        "bert-no-segments": {"segment_vocab_size": 0, "application": "lm"},
    }[case]
    first = build("bert-encoder", **options)
    first.save_weights_as_checkpoint(tmp_path / file)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = build_transformer_model(**BASE, **options, checkpoint_path=tmp_path / file, return_keras_model=False)
    for a, b, v in zip(values(first.model), values(second.model), first.model.weights, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=v.path)
    with open_checkpoint(tmp_path / file) as reader:
        assert len(reader) == len(first.model.weights), "every variable has a name of its own"


def test_half_precision_round_trip(tmp_path):
    first = build("bert-encoder")
    for file in ("model.ckpt", "model.safetensors"):
        first.save_weights_as_checkpoint(tmp_path / file, dtype="float16")
        second = build_transformer_model(**BASE, checkpoint_path=tmp_path / file)
        for a, b in zip(values(first.model), values(second), strict=True):
            np.testing.assert_array_equal(a.astype("float16").astype("float32"), b)


def test_prefixed_models_round_trip(tmp_path):
    first = build("bert-encoder", prefix="Student-")
    first.save_weights_as_checkpoint(tmp_path / "model.ckpt")
    with open_checkpoint(tmp_path / "model.ckpt") as reader:
        assert "bert/embeddings/word_embeddings" in reader
    second = build_transformer_model(**BASE, checkpoint_path=tmp_path / "model.ckpt", prefix="Teacher-")
    for a, b in zip(values(first.model), values(second), strict=True):
        np.testing.assert_array_equal(a, b)


def test_mapping_argument(tmp_path):
    first = build("bert-encoder")
    mapping = first.variable_mapping()
    renamed = {layer: [f"mine/{name}" for name in names] for layer, names in mapping.items()}
    first.save_weights_as_checkpoint(tmp_path / "model.ckpt", mapping=renamed)
    second = build("bert-encoder")
    randomize(second.model, seed=9)
    second.load_weights_from_checkpoint(tmp_path / "model.ckpt", mapping=renamed)
    for a, b in zip(values(first.model), values(second.model), strict=True):
        np.testing.assert_array_equal(a, b)
