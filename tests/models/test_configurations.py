"""Values that no model's configuration can have are named at the door, with the file."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bert4keras2.checkpoints import CheckpointFormatError, CheckpointMismatchError, convert, describe, write_safetensors
from bert4keras2.families.config import Config, make_config, read_config
from bert4keras2.families.config_values import check_values
from bert4keras2.families.table import FAMILIES
from bert4keras2.models import build_transformer_model

SIZES = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
GOLDEN = Path(__file__).parent.parent / "golden" / "models"
WRONG = [
    ("hidden_size", "8", "a whole number"),
    ("hidden_size", 8.0, "a whole number"),
    ("hidden_size", True, "a whole number"),
    ("hidden_size", -8, "a whole number from 1"),
    ("hidden_size", 0, "a whole number from 1"),
    ("vocab_size", 10**12, "a whole number"),
    ("vocab_size", [20], "a whole number"),
    ("num_hidden_layers", 999999999, "a number of blocks, at most 1000"),
    ("num_attention_heads", {}, "a whole number"),
    ("max_position_embeddings", "512", "a whole number"),
    ("type_vocab_size", -1, "a whole number from 0"),
    ("hidden_dropout_prob", "0.1", "a share"),
    ("attention_probs_dropout_prob", 1.5, "a share"),
    ("hidden_dropout_prob", float("nan"), "a share"),
    ("initializer_range", [0.02], "a number"),
    ("layer_norm_eps", "1e-12", "a number"),
    ("layer_norm_eps", float("inf"), "a number"),
    ("hidden_act", 5, "the name of an activation"),
    ("hidden_act", {"a": 1}, "the name of an activation"),
    ("model_type", 5, "a text"),
    ("model_type", ["bert"], "a text"),
    ("architectures", 5, "a list of texts"),
    ("architectures", [None], "a list of texts"),
    ("tie_word_embeddings", "false", "true or false"),
    ("n_layer", 10**9, "a number of blocks, at most 1000"),
    ("pad_token_id", "0", "a whole number"),
]


@pytest.mark.parametrize(("name", "value", "words"), WRONG)
def test_wrong_values(tmp_path: Path, name: str, value: Any, words: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**SIZES, name: value}))
    for read in (read_config, build_transformer_model):
        with pytest.raises(CheckpointFormatError, match=rf"config\.json: {name} is {words}.*, not "):
            read(path)
    with pytest.raises(CheckpointFormatError, match=f"The configuration: {name} is {words}"):
        build_transformer_model({**SIZES, name: value})


def test_wrong_arguments_of_a_call() -> None:
    with pytest.raises(CheckpointFormatError, match="arguments of the call: hidden_size is a whole number .* not '8'"):
        build_transformer_model({**SIZES}, hidden_size="8")
    with pytest.raises(CheckpointFormatError, match="keep_tokens is a list, not 5"):
        build_transformer_model({**SIZES}, keep_tokens=5)


def test_what_scripts_pass() -> None:
    """NumPy's numbers, functions for activations, a share for a flag, None for the usual value."""
    options = {
        "vocab_size": np.int64(20), "hidden_dropout_prob": None, "keep_tokens": np.arange(5), "with_pool": "linear",
        "hidden_act": abs, "hierarchical_position": 0.4, "embedding_size": None, "segment_vocab_size": 0,
    }  # fmt: skip
    config = make_config("bert", FAMILIES["bert"], SIZES, {"application": "encoder", **options})
    assert config.rows == 5 and config.dropout_rate == 0.0


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*/config.json")), ids=lambda path: path.parent.name)
def test_golden_configurations_are_fine(path: Path) -> None:
    check_values(json.loads(path.read_text()), str(path))
    read_config(path)


def test_every_option_is_checked() -> None:
    """An option of `Config` that is not a matter of structure has a rule: 'x' is no value of any but texts."""
    texts = {"normalization", "application", "prefix", "name", "with_pool", "with_mlm", "with_lm", "with_discriminator"}
    free = {"hidden_act", "final_activation", "layer_norm_cond_hidden_act"}
    from bert4keras2.families.attention_options import TYPES
    from bert4keras2.families.config import OPTIONS, STRUCTURE

    kinds = {*TYPES, "block"}
    for name in sorted(OPTIONS - STRUCTURE - texts - free - kinds):
        with pytest.raises(CheckpointFormatError, match=name):
            check_values({name: "x"}, "this")
    for name in kinds:  # which are looked at with the rest of a configuration
        with pytest.raises(ValueError, match=f"{name}.*'x'"):
            make_config("bert", FAMILIES["bert"], SIZES, {"application": "encoder", name: "x"})
    assert set(Config.__dataclass_fields__) == OPTIONS


def test_combinations_name_the_file_too(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    for content, words in (
        ({**SIZES, "hidden_size": 9}, "not a multiple of num_attention_heads 2"),
        ({**SIZES, "model_type": "xlnet"}, "Unknown model 'xlnet'"),
        ({"model_type": "t5", "d_kv": 4, "num_decoder_layers": 2, "vocab_size": 20}, "different depth"),
        ({"n_embd": None, "model_type": "gpt2"}, "lacks"),
    ):
        path.write_text(json.dumps(content))
        with pytest.raises(CheckpointFormatError, match=rf"{words}.*config\.json\)"):
            build_transformer_model(path)


def test_commands_name_the_file(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "model.safetensors", [("bert.embeddings.word_embeddings.weight", np.ones((20, 8)))])
    (tmp_path / "config.json").write_text(json.dumps({**SIZES, "hidden_size": "8"}))
    assert any("config.json: hidden_size" in line for line in describe(tmp_path).problems)
    with pytest.raises(CheckpointFormatError, match=r"config\.json: hidden_size"):
        convert(tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    "sizes", [{"hidden_size": 10**6, "intermediate_size": 10**6}, {"vocab_size": 10**9}, {"num_hidden_layers": 1000}]
)
def test_models_that_no_checkpoint_of_that_size_fills(tmp_path: Path, sizes: dict[str, int]) -> None:
    """A configuration of some bytes beside weights of some bytes makes nobody allocate gigabytes."""
    write_safetensors(tmp_path / "model.safetensors", [("bert.embeddings.word_embeddings.weight", np.ones((20, 8)))])
    content = {**SIZES, "hidden_size": 800, "intermediate_size": 800, **sizes}
    (tmp_path / "config.json").write_text(json.dumps(content))
    tracemalloc.start()
    with pytest.raises(CheckpointMismatchError, match=r"holds 160 values, and the model needs .*config\.json"):
        build_transformer_model(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    tracemalloc.stop()
